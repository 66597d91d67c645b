"""The published worker `scriptworker` takes tasks from the deployment of the usual variables, and ends them in every way it knows."""

import contextlib
import datetime
import gzip
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import taskcluster

PROVISIONER, WORKER_TYPE = "peers", "scriptworker"
HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 120


def configuration(folder):
    """All that it has to be told; JSON is YAML, too."""
    variables = {"clientId": "TASKCLUSTER_CLIENT_ID", "accessToken": "TASKCLUSTER_ACCESS_TOKEN"}
    return {
        "taskcluster_root_url": os.environ["TASKCLUSTER_ROOT_URL"],
        "credentials": {name: os.environ[variable] for name, variable in variables.items()},
        "provisioner_id": PROVISIONER,
        "worker_type": WORKER_TYPE,
        "worker_group": "peers",
        "worker_id": "scriptworker",
        "work_dir": str(folder / "work"),
        "artifact_dir": str(folder / "artifacts"),
        "task_log_dir": str(folder / "artifacts/public/logs"),
        "log_dir": str(folder / "logs"),
        "task_script": [sys.executable, str(HERE / "script.py"), str(folder / "work"), str(folder / "artifacts")],
        "poll_interval": 1,
        # It notices by this that a task was cancelled.
        "reclaim_interval": 2,
        "verbose": False,
        "sign_chain_of_trust": False,
        "verify_chain_of_trust": False,
        "ed25519_private_key_path": "none",
    }


@contextlib.contextmanager
def worker(folder):
    """Scriptworker at work. What it says is shown if something goes wrong."""
    config = folder / "scriptworker.yaml"
    config.touch(mode=0o600)
    config.write_text(json.dumps(configuration(folder)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKCLUSTER_")}
    program = pathlib.Path(sys.executable).parent / "scriptworker"
    said = folder / "said"
    with said.open("w") as output:
        process = subprocess.Popen([program, config], env=environment, stdout=output, stderr=output)
    try:
        yield process
    except BaseException:
        print(said.read_text(), file=sys.stderr)
        raise
    finally:
        process.kill()
        process.wait()


def create(queue, payload):
    task_id = taskcluster.slugId()
    queue.createTask(
        task_id,
        {
            "taskQueueId": f"{PROVISIONER}/{WORKER_TYPE}",
            "created": taskcluster.stringDate(datetime.datetime.now(datetime.timezone.utc)),
            "deadline": taskcluster.fromNowJSON("1 hour"),
            "expires": taskcluster.fromNowJSON("2 days"),
            "retries": 1,
            "metadata": {
                "name": "peer",
                "description": "A task for scriptworker",
                "owner": "peer@example.com",
                "source": "https://example.com/peer",
            },
            "payload": {"maxRunTime": 600, **payload},
        },
    )
    return task_id


def wait(what):
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, "nothing happened for minutes"
        time.sleep(0.1)
    return found


def ended(queue, task_id, run=0):
    """How a run ended, once it has."""

    def resolved():
        runs = queue.status(task_id)["status"]["runs"]
        return len(runs) > run and runs[run].get("reasonResolved") and runs[run]

    found = wait(resolved)
    assert (found["workerGroup"], found["workerId"]) == ("peers", "scriptworker"), found
    return found["state"], found["reasonResolved"]


def begun(queue, task_id):
    """When the claim of a run that is under way ends."""

    def running():
        run = queue.status(task_id)["status"]["runs"][-1]
        return run["state"] == "running" and run["takenUntil"]

    return wait(running)


def artifact(queue, task_id, run, name):
    url = queue.buildSignedUrl("getArtifact", task_id, str(run), name)
    with urllib.request.urlopen(url, timeout=60) as response:
        content = response.read()
        if response.headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        return content.decode()


def main():
    queue = taskcluster.Queue(taskcluster.optionsFromEnvironment())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with worker(folder) as process:
            completed = create(queue, {"artifact": "public/made.txt"})
            assert ended(queue, completed) == ("completed", "completed")
            assert artifact(queue, completed, 0, "public/made.txt") == "made by scriptworker\n"
            assert "READY" in artifact(queue, completed, 0, "public/logs/live_backing.log")

            failed = create(queue, {"exit": 1, "artifact": "private/made"})
            assert ended(queue, failed) == ("failed", "failed")
            assert artifact(queue, failed, 0, "private/made") == "made by scriptworker\n"

            malformed = create(queue, {"exit": 3})
            assert ended(queue, malformed) == ("exception", "malformed-payload")

            intermittent = create(queue, {"exit": 7})
            assert ended(queue, intermittent) == ("exception", "intermittent-task")
            assert ended(queue, intermittent, 1) == ("exception", "intermittent-task")

            cancelled = create(queue, {"wait": True})
            until = begun(queue, cancelled)
            wait(lambda: begun(queue, cancelled) > until)  # it has reclaimed
            queue.cancelTask(cancelled)
            assert ended(queue, cancelled) == ("exception", "canceled")
            # It has noticed: there is the next task's turn.
            shutdown = create(queue, {"wait": True, "artifact": "public/made.txt"})
            begun(queue, shutdown)
            made = folder / "artifacts/public/made.txt"
            wait(lambda: made.exists() and made.read_text())
            process.send_signal(signal.SIGTERM)
            assert ended(queue, shutdown) == ("exception", "worker-shutdown")
            assert process.wait(timeout=PATIENCE) == 0, process.returncode
        assert queue.status(shutdown)["status"]["state"] == "pending", "the queue has it run again"
        assert artifact(queue, shutdown, 0, "public/made.txt") == "made by scriptworker\n"
        queue.cancelTask(shutdown)

    print("scriptworker: claimed, reclaimed, uploaded, resolved in every way")


main()
