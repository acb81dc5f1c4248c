"""What goes with every page of ours, so that nothing but our own files runs on it."""

PAGE_HEADERS = (
    (
        b"content-security-policy",
        b"; ".join(
            (
                b"default-src 'none'",
                b"script-src 'self'",
                b"style-src 'self'",
                b"img-src 'self'",
                b"connect-src 'self'",
                b"base-uri 'none'",
                b"form-action 'none'",
                b"frame-ancestors 'none'",
                b"require-trusted-types-for 'script'",
                b"trusted-types 'none'",
            )
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
"""Names of strangers are on the page and an operator's key in its tab: nothing but our files runs there."""
