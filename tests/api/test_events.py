"""The event log over HTTP: one order, pages of any size, and a place to go on from."""

import pytest

from tests.api.conftest import Api


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_hold_each_event_once_in_order(api: Api, limit: int) -> None:
    analyst = api.as_("analyst", "globex")
    found = analyst.items("/events", limit=limit)
    assert [event["sequence"] for event in found] == [f"{place:020d}" for place in range(1, len(found) + 1)]
    assert {event["tenant"] for event in found} == {"globex"}
    assert all(event["time"].endswith("Z") for event in found)


def test_whoever_goes_on_after_the_last_place_gets_what_came_since(api: Api) -> None:
    operator = api.as_("operator", "globex")
    seen = operator.get("/events", type="reconciliation.run.created").json()
    assert [event["type"] for event in seen["items"]] == ["reconciliation.run.created"]
    assert seen["next"] is None
    found = operator.items("/reconciliation/exceptions")[0]["exception_id"]
    operator.post(f"/reconciliation/exceptions/{found}/decisions", {"action": "assign", "owner": "treasury"})
    (event,) = operator.get("/events", after=seen["last"]).json()["items"]
    assert (event["type"], event["subject"]) == ("reconciliation.exception.assigned", found)
    assert event["actor"] == "operator_globex"


@pytest.mark.parametrize("after", ["x", "-1", "9" * 21, "99999999999999999999", "1.5", "\u0661"])
def test_a_cursor_that_is_none_is_refused(api: Api, after: str) -> None:
    assert api.as_("analyst").get("/events", after=after).status_code == 422


def test_an_unknown_type_is_refused_by_name(api: Api) -> None:
    answer = api.as_("analyst").get("/events", type="reconciliation.nonsense")
    assert (answer.status_code, answer.json()["errors"][0]["name"]) == (422, "type")
