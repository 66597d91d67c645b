"""What the tasks of peer.py do, as scriptworker starts it: with the task's definition in `task.json` of its work directory."""

import json
import pathlib
import sys
import time

work_dir, artifact_dir = map(pathlib.Path, sys.argv[1:])
payload = json.loads((work_dir / "task.json").read_text())["payload"]

print("READY", flush=True)
if "artifact" in payload:
    made = artifact_dir / payload["artifact"]
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text("made by scriptworker\n")
if payload.get("wait"):
    time.sleep(600)
sys.exit(payload.get("exit", 0))
