"""Dagster's UI as a program asks it: over GraphQL. Does not belong here: what is expected of the answers."""

from typing import Any, Final

import httpx

_LAUNCH: Final = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_RUNS: Final = "{ runsOrError(limit: 200) { ... on Runs { results { runId status tags { key value } } } } }"
_EVENTS: Final = """
query($run: ID!) {
  logsForRun(runId: $run, limit: 1000) {
    ... on EventConnection { events { __typename ... on MessageEvent { timestamp } } }
  }
}
"""
_INSTANCE: Final = """
{ instance { daemonHealth { allDaemonStatuses { daemonType healthy required } }
             runQueueConfig { maxConcurrentRuns tagConcurrencyLimitsYaml } } }
"""
_LOCATIONS: Final = """
{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }
"""


class DagsterUi:
    """The webserver at an address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer."""
        answer = httpx.post(f"{self._url}/graphql", json={"query": text, "variables": variables}, timeout=120)
        content: dict[str, Any] = answer.raise_for_status().json()
        assert "errors" not in content, content
        found: dict[str, Any] = content["data"]
        return found

    def locations(self) -> dict[str, str]:
        """The code locations and what became of loading each; none while the webserver does not answer."""
        try:
            entries = self.ask(_LOCATIONS)["workspaceOrError"]["locationEntries"]
        except httpx.TransportError:
            return {}
        return {each["name"]: (each["locationOrLoadError"] or {}).get("__typename", "") for each in entries}

    def launch(self, job: str, tags: dict[str, str], config: dict[str, Any]) -> str:
        """Launch a run as the launchpad does, and name it."""
        selector = {"repositoryLocationName": "zentra_pipeline", "repositoryName": "__repository__", "jobName": job}
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        params = {"selector": selector, "runConfigData": config, "executionMetadata": metadata}
        launched = self.ask(_LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        name: str = launched["run"]["runId"]
        return name

    def runs(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Every run's status and tags."""
        results = self.ask(_RUNS)["runsOrError"]["results"]
        return {each["runId"]: (each["status"], {tag["key"]: tag["value"] for tag in each["tags"]}) for each in results}

    def moments(self, run_id: str) -> dict[str, float]:
        """When a run had each kind of event first, in seconds."""
        found: dict[str, float] = {}
        for event in self.ask(_EVENTS, run=run_id)["logsForRun"]["events"]:
            found.setdefault(event["__typename"], float(event["timestamp"]) / 1000)
        return found

    def instance(self) -> dict[str, Any]:
        """The daemon's parts and the configuration of the queue."""
        found: dict[str, Any] = self.ask(_INSTANCE)["instance"]
        return found
