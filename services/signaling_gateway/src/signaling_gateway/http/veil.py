"""What of a host is for its owner, servers and operators alone: players see the rest."""

import orjson

from signaling_gateway.http.framework.exchange import Answer, Answering, Request

HIDDEN = ("ip_address", "public_ip", "port", "player_id", "metadata")


def veiled(answering: Answering) -> Answering:
    """Answer with hosts, one or a list, as the asker may see them."""

    async def answer(request: Request) -> Answer:
        given = await answering(request)
        if request.admission.sees_hosts_whole:
            return given
        found = orjson.loads(given.body)
        for host in found if isinstance(found, list) else [found]:
            host.update(dict.fromkeys(HIDDEN))
        return given._replace(body=orjson.dumps(found))

    return answer
