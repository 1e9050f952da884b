"""The tutorial's steps, played over HTTP as the people of the demo would do them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from demo.visitor import Visitor, text_of

REFUSED = {
    "backup": "functional_accounts",
    "toor": "uidNumber",
    "halfway": "gidNumber",
}
"""Account → what its refusal names."""


class Place(Protocol):
    """Where the demo runs: on this machine, or in a cluster."""

    @property
    def url(self) -> str:
        """Of the login page."""

    @property
    def password(self) -> str:
        """Of every account."""

    @property
    def folder(self) -> Path:
        """For the story's picture."""

    @property
    def protects_files(self) -> bool:
        """Whether each session runs as its own user."""


class StoryError(Exception):
    """A step did not go as the tutorial says."""


class Story:
    """Plays the steps one after another; the first that fails ends it."""

    def __init__(self, bed: Place, say: Callable[[str], None]) -> None:
        self.bed = bed
        self.say = say
        self.ada = self._person("ada")
        self.list_path = ""
        self.job: dict[str, Any] = {}

    def play(self) -> Path:
        """All steps; the picture of the reconstructed slice."""
        self.log_in_and_start()
        self.find_the_scan()
        self.edit_the_list()
        self.reconstruct()
        picture = self.save_picture()
        self.come_back()
        self.colleague_and_stranger()
        self.administrator_stops_it()
        self.refusals()
        self.say(f"picture of the reconstructed slice: {picture}")
        return picture

    def _person(self, name: str) -> Visitor:
        return Visitor(self.bed.url, name, self.bed.password)

    def log_in_and_start(self) -> None:
        page = self.ada.log_in()
        _expect("Start My Server" in self.ada.home(), "the control panel offers a start", page.text)
        self.say("ada has logged in; the control panel offers Start My Server")
        self.ada.start_server()
        for event in self.ada.progress():
            _expect(not event.get("failed"), "the session starts", event)
            self.say(f"  {event['progress']:3d} %  {event.get('message', '')}")
        page = self.ada.open_session()
        _expect(page.ok and page.url.endswith("/user/ada/"), "the session opens", page.url)
        self.say("the session is open at /user/ada/")

    def find_the_scan(self) -> None:
        session = self.ada.get("api/session")
        visit = session["visits"][0]
        self.say(f"ada is uid {session['uid']}; her visits: {visit['name']} at {visit['path']}")
        files = self.ada.get("api/files", params={"path": f"{visit['path']}/raw"})["entries"]
        scans = [entry["path"] for entry in files if entry["name"].endswith(".nxs")]
        _expect(scans, "the sample scan is found", files)
        self.scan = scans[0]
        info = self.ada.request(
            "GET",
            "data/info",
            params={"path": self.scan, "dataset": "/entry1/tomo_entry/data/data"},
        )
        _expect(info.ok, "the scan's metadata is shown", info.text)
        self.say(f"found {self.scan}: frames, rows, columns {info.text.splitlines()[1]}")
        for what, cut in (("frame", "40,:,:"), ("sinogram", ":,64,:")):
            picture = self._slice(self.scan, "/entry1/tomo_entry/data/data", cut)
            self.say(f"looked at a {what} ({len(picture)} bytes of PNG)")

    def edit_the_list(self) -> None:
        folder = self.ada.get("api/default_paths")["process_list"]
        found = self.ada.get("api/process_list", params={"path": folder})["files"]
        _expect(found, "the sample process list is found", folder)
        self.list_path = next((file for file in found if "sample" in file), found[0])
        answer = self.ada.request("GET", "api/process_list", params={"filename": self.list_path})
        plugins = answer.json()["plugins"]
        self.say("opened the process list: " + ", ".join(p["name"] for p in plugins))
        step = next(p for p in plugins if p["name"] == "RemoveAllRings")
        parameter = next(p for p in step["parameters"] if p["name"] == "snr")
        before = parameter["value"]
        parameter["value"] = "5.0" if before != "5.0" else "6.0"
        saved = self.ada.request(
            "PUT",
            "api/process_list",
            params={"filename": self.list_path},
            headers={"If-Match": answer.headers["ETag"]},
            json=as_body(plugins),
        )
        _expect(saved.ok, "the list is saved", saved.text)
        self.say(f"changed RemoveAllRings snr from {before} to {parameter['value']}, and saved")

    def reconstruct(self) -> None:
        output = self.ada.get("api/default_paths")["output"]
        answer = self.ada.request(
            "POST",
            "api/jobs/full/submit",
            json={"process_list": self.list_path, "dataset": self.scan, "output": output},
        )
        _expect(answer.status_code == 202, "the job is accepted", answer.text)
        self.job = answer.json()["job"]
        self.say(f"started job {self.job['id']}")
        percent = -1
        while self.job["state"] in ("queued", "running"):
            time.sleep(0.3)
            self.job = self.ada.get(f"api/jobs/full/{self.job['id']}")["job"]
            progress = self.job["progress"]
            if int(progress["percent"]) > percent:
                percent = int(progress["percent"])
                self.say(f"  {percent:3d} %  {progress['plugin']}")
        _expect(self.job["state"] == "completed", "the job completes", self.job)
        self.say(f"reconstructed: {self.job['output_dataset']}")

    def save_picture(self) -> Path:
        """The middle slice beside a raw frame, as one PNG."""
        from PIL import Image

        result = self.job["result"]
        row = result["shape"][1] // 2
        slices = [
            self._slice(self.scan, "/entry1/tomo_entry/data/data", "40,:,:"),
            self._slice(result["path"], result["dataset"], f":,{row},:"),
        ]
        pictures = [Image.open(io.BytesIO(data)).convert("L") for data in slices]
        both = Image.new(
            "L", (sum(p.width for p in pictures) + 10, max(p.height for p in pictures)), 128
        )
        left = 0
        for picture in pictures:
            both.paste(picture, (left, 0))
            left += picture.width + 10
        file = self.bed.folder / "story.png"
        both.save(file)
        return file

    def come_back(self) -> None:
        self.ada.log_out()
        self.ada.log_in()
        self.ada.open_session().raise_for_status()
        jobs = self.ada.get("api/jobs")["jobs"]
        _expect(
            any(entry["job"]["id"] == self.job["id"] for entry in jobs),
            "the finished job is still listed",
            jobs,
        )
        self.say("ada logged out and in again: the session and the finished job are still there")

    def colleague_and_stranger(self) -> None:
        alan, grace = self._person("alan"), self._person("grace")
        for person in (alan, grace):
            person.log_in()
            person.ensure_session()
        picture = self._slice(
            self.job["result"]["path"], self.job["result"]["dataset"], ":,0,:", alan
        )
        self.say(f"alan opened ada's result ({len(picture)} bytes of PNG)")
        opened = alan.request("GET", "api/process_list", params={"filename": self.list_path})
        saved = alan.request(
            "PUT",
            "api/process_list",
            params={"filename": self.list_path},
            headers={"If-Match": opened.headers["ETag"]},
            json=as_body(opened.json()["plugins"]),
        )
        _expect(saved.ok, "alan saves over ada's list", saved.text)
        self.say("alan saved over ada's list from his own session")
        refused = grace.open_session(owner="ada")
        _expect(refused.status_code in (403, 404), "grace is refused", refused.status_code)
        self.say(f"grace cannot open ada's session ({refused.status_code})")
        read = grace.request("GET", "api/files", params={"path": str(Path(self.scan).parent)})
        if self.bed.protects_files:
            _expect(read.status_code == 403, "grace cannot read ada's visit", read.text)
            self.say(f"grace cannot read ada's visit: {read.json()['detail']}")
        else:
            self.say("not root, so files are not protected: grace's part is left out")

    def administrator_stops_it(self) -> None:
        admin = self._person("hubadmin")
        admin.log_in()
        users = admin.hub("GET", "users").json()
        _expect(any(u["name"] == "ada" and u["server"] for u in users), "ada is listed", users)
        answer = admin.hub("DELETE", "users/ada/server")
        _expect(answer.status_code in (202, 204), "the session stops", answer.text)
        while True:
            ada = admin.hub("GET", "users/ada").json()
            if not ada["server"] and not ada["pending"]:
                break
            time.sleep(0.1)
        gone = self.ada.request("GET", "api/session")
        _expect(gone.status_code == 424 or "/hub/" in gone.url, "ada's tab is told", gone.text)
        _expect("Your last session ended" in self.ada.home(), "ada's next page says so", "")
        self.say("hubadmin saw ada's session and stopped it; her next page says so")

    def refusals(self) -> None:
        for name, names in REFUSED.items():
            sentence = text_of(self._person(name).log_in())
            _expect(names in sentence and "helpdesk" in sentence, f"{name} is refused", sentence)
            said = sentence[sentence.find("Your account") : sentence.find("Username:")]
            self.say(f"{name} is refused: {said}")

    def _slice(self, path: str, dataset: str, cut: str, person: Visitor | None = None) -> bytes:
        answer = (person or self.ada).request(
            "GET",
            "data/slice",
            params={"path": path, "dataset": dataset, "slice": cut, "format": "PNG"},
        )
        _expect(answer.ok, f"slice {cut} of {dataset}", answer.text[:300])
        return answer.content


def as_body(plugins: list[dict[str, Any]]) -> dict[str, Any]:
    """What is sent to save a list, from what was read."""
    return {
        "plugins": [
            {
                "name": plugin["name"],
                "active": plugin["active"],
                "parameters": [
                    {"name": parameter["name"], "value": parameter["value"]}
                    for parameter in plugin["parameters"]
                ],
            }
            for plugin in plugins
        ]
    }


def _expect(held: object, claim: str, seen: object) -> None:
    if not held:
        raise StoryError(f"Not as told: {claim}. Seen: {str(seen)[:500]}")
