"""What is true of two nodes while clients ask them without pause.

A proof is given a cluster that works, leaves one that works, and returns what it has seen.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from tests.security.private_servers import wait_until
from tests.servers.load import Answer, Load
from twilio_tokens.crypto import generate_key

from .cluster import (
    BROKEN_OFF,
    CACHE_SECONDS,
    CLIENTS,
    FIRST_KEY,
    LIMIT,
    VIDEO,
    Cluster,
    wait_until_all_succeed,
)
from .machines import Node

Proof = Callable[[Cluster], str]
KEYS = "TWILIO_TOKENS_ENCRYPTION_KEYS"


def both_nodes_serve(cluster: Cluster) -> str:
    with cluster.load() as load:
        load.go_on()
        load.go_on()
    _assert_nothing_is_lost(cluster, load)
    for node in cluster.nodes:
        # The session was made elsewhere.
        assert cluster.console(node.address).get("/admin/").status_code == 200
    shares = [_served(cluster, node) for node in cluster.nodes]
    assert all(shares), shares
    return f"{len(load.answers)} tokens, the nodes had {shares[0]} and {shares[1]} requests"


def a_killed_node_costs_the_requests_in_flight(cluster: Cluster) -> str:
    victim = cluster.nodes[0]
    with cluster.load() as load:
        load.go_on()
        began = time.monotonic()
        victim.kill()
        wait_until(lambda: not victim.answers(), "its last process is gone")
        ended = time.monotonic()
        # After "fail_timeout" nginx tries it again, with a request that it then gives to the other.
        wait_until(lambda: _passed_on(cluster), "nginx tries the node again")
        victim.start()
        before = _served(cluster, victim)
        wait_until(lambda: _served(cluster, victim) > before, "nginx asks the node again")
        load.go_on()
    lost = [answer for answer in load.answers if answer.status != 201]
    assert {answer.status for answer in lost} <= {502, BROKEN_OFF}, _told(lost)
    assert len(lost) <= CLIENTS, _told(lost)
    assert all(answer.began <= ended and answer.ended >= began for answer in lost), _told(lost)
    _assert_recorded(cluster, load.answers)
    return (
        f"{len(lost)} of {len(load.answers)} lost, with {CLIENTS} in flight; "
        f"{_passed_on(cluster)} that it refused went to the other node"
    )


def the_limit_counts_across_nodes(cluster: Cluster) -> str:
    addresses = [node.address for node in cluster.nodes] + [cluster.nginx.address]
    clients = [cluster.client(address, cluster.anna) for address in addresses]
    with ThreadPoolExecutor(CLIENTS) as pool:
        turns = [clients[turn % len(clients)] for turn in range(LIMIT * 3 // 2)]
        statuses = Counter(pool.map(lambda client: client.post(VIDEO).status_code, turns))
    assert statuses == {201: LIMIT, 429: LIMIT // 2}, statuses
    return f"of {LIMIT * 3 // 2} requests of one user {LIMIT} got a token, {LIMIT // 2} a 429"


def a_retired_key_stops_signing_on_the_other_node(cluster: Cluster) -> str:
    here, there = cluster.nodes
    key = cluster.add_key()
    with cluster.load(there.address) as load:
        load.wait_until(lambda: load.answers and cluster.signer(load.answers[-1]) == key)
        console = cluster.console(here.address)
        pk = cluster.operator("pk", model="APIKey", sid=key)
        form = {"name": "Retired", "region": "us1", "secret": ""}
        saved = console.post(f"/admin/twilio_tokens/apikey/{pk}/change/", data=form)
        retired = time.monotonic()
        assert saved.status_code == 302, saved.text
        load.wait_until(lambda: load.answers[-1].began > retired + CACHE_SECONDS)
        load.go_on()
    _assert_nothing_is_lost(cluster, load)
    signed = [answer.began - retired for answer in load.answers if cluster.signer(answer) == key]
    assert max(signed) < CACHE_SECONDS, max(signed)
    assert cluster.signer(load.answers[-1]) == FIRST_KEY
    return f"the last token began {max(signed):.1f} s after it, allowed are {CACHE_SECONDS} s"


def a_rolling_restart_loses_nothing(cluster: Cluster) -> str:
    with cluster.load() as load:
        load.go_on()
        cluster.roll()
        load.go_on()
    _assert_nothing_is_lost(cluster, load)
    return f"{len(load.answers)} tokens, none lost"


def a_node_that_cannot_issue_is_not_let_in(cluster: Cluster) -> str:
    node = cluster.nodes[0]
    with cluster.load() as load:
        cluster.nginx.take_out(node)
        node.stop()
        right = node.environment[KEYS]
        node.environment[KEYS] = generate_key()
        node.begin()
        wait_until(node.answers, "the node answers")
        assert not node.is_ready(wait=0)
        node.environment[KEYS] = right
        node.restart()
        cluster.nginx.take_out(None)
        load.go_on()
    _assert_nothing_is_lost(cluster, load)
    return "with the wrong encryption key it is not ready, and gets no requests"


def rolling_restarts_with_new_encryption_keys_lose_nothing(cluster: Cluster) -> str:
    old, new = cluster.encryption_key, generate_key()
    with cluster.load() as load:
        load.go_on()
        cluster.roll(**{KEYS: f"{old},{new}"})
        cluster.roll(**{KEYS: f"{new},{old}"})
        cluster.manage("twilio_reencrypt", **{KEYS: f"{new},{old}"})
        cluster.roll(**{KEYS: new})
        load.go_on()
    cluster.encryption_key = cluster.environment[KEYS] = new
    _assert_nothing_is_lost(cluster, load)
    return f"[old, new], [new, old], twilio_reencrypt, [new]: {len(load.answers)} tokens, none lost"


def postgresql_comes_back(cluster: Cluster) -> str:
    with cluster.load() as load:
        load.go_on()
        cluster.postgresql.stop()
        load.wait_until(lambda: any(answer.status == 503 for answer in load.answers))
        cluster.postgresql.start()
        seconds = wait_until_all_succeed(load)
    codes = _assert_documented(load.answers, {"not_configured", "audit_unavailable"})
    _assert_recorded(cluster, load.answers)
    return f"meanwhile {_listed(codes)}; tokens again {seconds:.1f} s after it was back"


def redis_comes_back(cluster: Cluster) -> str:
    with cluster.load() as load:
        load.go_on()
        cluster.redis.kill()
        gone = time.monotonic()
        load.wait_until(lambda: load.answers[-1].began > gone)
        load.go_on()
        for node in cluster.nodes:
            # The database knows the session, too.
            console = cluster.console(node.address)
            assert console.get("/admin/").status_code == 200
            assert console.post(VIDEO).json()["code"] == "throttle_unavailable"
        starts = time.monotonic()
        cluster.redis.start()
        wait_until_all_succeed(load)
    codes = _assert_documented(load.answers, {"throttle_unavailable"})
    meanwhile = [each for each in load.answers if each.began > gone and each.ended < starts]
    assert {each.status for each in meanwhile} == {503}, _told(meanwhile)
    return f"meanwhile {_listed(codes)} and no token"


PROOFS: tuple[Proof, ...] = (
    both_nodes_serve,
    a_killed_node_costs_the_requests_in_flight,
    the_limit_counts_across_nodes,
    a_retired_key_stops_signing_on_the_other_node,
    a_node_that_cannot_issue_is_not_let_in,
    rolling_restarts_with_new_encryption_keys_lose_nothing,
    postgresql_comes_back,
    redis_comes_back,
)

#: What depends most on the server; each has a rolling restart in any case.
OF_ANOTHER_SERVER: tuple[Proof, ...] = (
    both_nodes_serve,
    a_killed_node_costs_the_requests_in_flight,
    the_limit_counts_across_nodes,
    a_rolling_restart_loses_nothing,
    postgresql_comes_back,
)


def _served(cluster: Cluster, node: Node) -> int:
    """Requests that got a token from it, by way of nginx."""
    return sum(line.endswith(f"201 127.0.0.1:{node.port}") for line in cluster.nginx.log())


def _passed_on(cluster: Cluster) -> int:
    """Requests that nginx gave to the other node, when one had not taken them."""
    return sum("," in line for line in cluster.nginx.log())


def _assert_nothing_is_lost(cluster: Cluster, load: Load) -> None:
    lost = [answer for answer in load.answers if answer.status != 201]
    assert not lost, _told(lost)
    _assert_recorded(cluster, load.answers)


def _assert_recorded(cluster: Cluster, answers: list[Answer]) -> None:
    """Each token opens with the secret that was put in, and is in the audit."""
    for answer in answers:
        if answer.status == 201:
            cluster.signer(answer)
    assert not cluster.unrecorded(answers)


def _assert_documented(answers: list[Answer], codes: set[str]) -> Counter[str]:
    refused = [answer for answer in answers if answer.status != 201]
    assert refused
    assert {(each.status, each.code) for each in refused} <= {(503, code) for code in codes}, _told(
        refused
    )
    return Counter(answer.code for answer in refused)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × 503 {code}" for code, count in counts.items())


def _told(answers: Iterable[Answer]) -> str:
    kinds = Counter(f"{each.status} {each.code or each.body}"[:200] for each in answers)
    return "; ".join(f"{count} × {kind}" for kind, count in kinds.items())
