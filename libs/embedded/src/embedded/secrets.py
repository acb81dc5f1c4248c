"""What a suite in enforced mode keeps to itself: made at its first start, under `<data>/secrets/`, and kept."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from embedded.private import kept, private_directory, write_private

OPERATOR = "operator"
"""The user, on this machine, of the `p2p` command itself."""

RANDOM_BYTES = 32

MOST_OF_BEFORE = 3
"""Keys whose tokens still hold: who rotates daily ends no refresh token, which lasts a day, before its time."""


@dataclass(frozen=True)
class Secrets:
    """The secrets of one data directory."""

    postgres: str = field(repr=False)
    redis: str = field(repr=False)
    turn: str = field(repr=False)
    """Shared with the TURN server, which is not ours to start."""
    traces: str = field(repr=False)
    """Shown to the store of spans, by who sends them and who reads them."""
    nats_accounts: Path
    """For the NATS server's configuration to include."""
    nats_users: dict[str, Path]
    """Their credentials files, by name."""

    @classmethod
    def kept_in(cls, data_dir: Path) -> "Secrets":
        """Give what is there, and make what is missing."""
        # Here, because the grants bring all of contracts, a third of a second that open mode has no use for.
        from embedded.nats_accounts import configure_suite  # noqa: PLC0415

        directory = private_directory(secrets_directory(data_dir))
        SigningKeys.kept_in(data_dir)
        accounts, *users = configure_suite(nats_directory(data_dir))
        return cls(
            postgres=_kept(postgres_password_file(data_dir)),
            redis=_kept(directory / "redis"),
            turn=_kept(directory / "turn"),
            traces=_kept(traces_key_file(data_dir)),
            nats_accounts=accounts,
            nats_users={path.stem: path for path in users},
        )


@dataclass(frozen=True)
class SigningKeys:
    """What tokens of players and hosts are signed with; read anew at each start of a gateway, as it may be another."""

    present: str = field(repr=False)
    others: tuple[str, ...] = field(repr=False)
    """Whose tokens hold too: what signed before, and in a rotation what is about to sign."""

    @classmethod
    def kept_in(cls, data_dir: Path) -> "SigningKeys":
        """Give what is there; the first time, one that is made."""
        others = _other_keys_file(data_dir)
        return cls(_kept(_signing_key_file(data_dir)), tuple(others.read_text().split()) if others.exists() else ())

    def keep(self, data_dir: Path) -> None:
        """Have gateways go by these from their next start."""
        write_private(_other_keys_file(data_dir), "\n".join(self.others))
        write_private(_signing_key_file(data_dir), self.present)

    def accepting(self, another: str) -> "SigningKeys":
        """The same, which know another key before it signs."""
        return SigningKeys(self.present, (another, *self.others))

    def followed_by(self, another: str) -> "SigningKeys":
        """What comes after these when another signs."""
        return SigningKeys(another, (self.present, *self.others)[:MOST_OF_BEFORE])


def new_secret() -> str:
    return secrets.token_urlsafe(RANDOM_BYTES)


def are_made(data_dir: Path) -> bool:
    """Whether a suite in enforced mode was started there once."""
    return _signing_key_file(data_dir).exists()


def _signing_key_file(data_dir: Path) -> Path:
    return secrets_directory(data_dir) / "jwt"


def _other_keys_file(data_dir: Path) -> Path:
    return secrets_directory(data_dir) / "jwt.others"


def secrets_directory(data_dir: Path) -> Path:
    return data_dir / "secrets"


def nats_directory(data_dir: Path) -> Path:
    return secrets_directory(data_dir) / "nats"


def postgres_password_file(data_dir: Path) -> Path:
    """There where a suite in enforced mode was started once."""
    return secrets_directory(data_dir) / "postgres"


def traces_key_file(data_dir: Path) -> Path:
    """There where a suite in enforced mode was started once."""
    return secrets_directory(data_dir) / "traces"


def operator_credentials(data_dir: Path) -> Path | None:
    """With which the `p2p` command enters the NATS of a suite on this machine; None where everybody may."""
    path = nats_directory(data_dir) / f"{OPERATOR}.creds"
    return path if path.exists() else None


def _kept(path: Path) -> str:
    if path.exists() and not path.read_bytes().strip():  # a crash of the machine has left nothing in it
        path.unlink()
    return kept(path, new_secret)
