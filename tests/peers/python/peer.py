"""One task's whole life by the published Python client, against the deployment of the usual variables."""

import datetime
import urllib.request

import taskcluster
from taskcluster import download, upload

QUEUE = "peers/python"
CONTENT = b"written by the Python client\n" * 1000


def put(url, content, content_type):
    headers = {"content-type": content_type, "content-length": str(len(content))}
    request = urllib.request.Request(url, data=content, headers=headers, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.status in (200, 201, 204), response.status


def get(url):
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read()


def ask_for_a_purge(options):
    purge_cache = taskcluster.PurgeCache(options)
    purge_cache.purgeCache(QUEUE, {"cacheName": "target"})
    told = purge_cache.purgeRequests(QUEUE, query={"since": taskcluster.fromNowJSON("-5 minutes")})["requests"]
    names = [(request["provisionerId"], request["workerType"], request["cacheName"]) for request in told]
    assert names == [(*QUEUE.split("/"), "target")], told
    assert purge_cache.allPurgeRequests(query={"limit": "1"})["requests"] == told


def main():
    options = taskcluster.optionsFromEnvironment()
    queue = taskcluster.Queue(options)
    queue.ping()
    scopes = taskcluster.Auth(options).currentScopes()["scopes"]
    assert scopes, "the printed credentials have no scopes"

    now = datetime.datetime.now(datetime.timezone.utc)
    task_id = taskcluster.slugId()
    definition = {
        "taskQueueId": QUEUE,
        "created": taskcluster.stringDate(now),
        "deadline": taskcluster.fromNowJSON("1 hour"),
        "expires": taskcluster.fromNowJSON("2 days"),
        "tags": {"kind": "peer"},
        "metadata": {
            "name": "peer",
            "description": "A task of the Python client",
            "owner": "peer@example.com",
            "source": "https://example.com/peer",
        },
        "payload": {"any": ["thing", None, 1.5, "ü"]},
    }
    status = queue.createTask(task_id, definition)["status"]
    assert status["state"] == "pending", status
    # Creating the same task again is the same as creating it once.
    assert queue.createTask(task_id, definition)["status"]["runs"] == status["runs"]
    assert queue.task(task_id)["payload"] == definition["payload"]
    assert queue.pendingTasks(QUEUE)["pendingTasks"] == 1

    claims = queue.claimWork(QUEUE, {"workerGroup": "peers", "workerId": "python", "tasks": 4})["tasks"]
    assert [claim["status"]["taskId"] for claim in claims] == [task_id], claims
    claim = claims[0]
    run_id = claim["runId"]
    worker = taskcluster.Queue({"rootUrl": options["rootUrl"], "credentials": claim["credentials"]})
    reclaimed = worker.reclaimTask(task_id, run_id)
    worker = taskcluster.Queue({"rootUrl": options["rootUrl"], "credentials": reclaimed["credentials"]})

    for name in ("public/logs/peer.txt", "private/peer.txt"):
        artifact = worker.createArtifact(task_id, run_id, name, {
            "storageType": "s3",
            "contentType": "text/plain",
            "contentLength": len(CONTENT),
            "expires": definition["expires"],
        })
        put(artifact["putUrl"], CONTENT, artifact["contentType"])
    # What the object service keeps; the package uploads it and checks it by itself.
    for name in ("private/object.txt", "public/object.txt"):
        artifact = worker.createArtifact(task_id, run_id, name, {
            "storageType": "object",
            "contentType": "text/plain",
            "contentLength": len(CONTENT),
            "expires": definition["expires"],
        })
        upload.uploadFromBuf(
            data=CONTENT,
            projectId=artifact["projectId"],
            name=artifact["name"],
            uploadId=artifact["uploadId"],
            contentType="text/plain",
            contentLength=len(CONTENT),
            expires=artifact["expires"],
            objectService=taskcluster.Object({"rootUrl": options["rootUrl"], "credentials": artifact["credentials"]}),
        )
        worker.finishArtifact(task_id, run_id, name, {"uploadId": artifact["uploadId"]})
    worker.createArtifact(task_id, run_id, "public/missing.txt", {
        "storageType": "error",
        "reason": "file-missing-on-worker",
        "message": "there was no such file",
        "expires": definition["expires"],
    })
    status = worker.reportCompleted(task_id, run_id)["status"]
    assert status["state"] == "completed", status

    assert queue.status(task_id)["status"]["runs"][run_id]["reasonResolved"] == "completed"
    members = queue.listTaskGroup(task_id)["tasks"]
    assert [member["status"]["taskId"] for member in members] == [task_id], members
    names = [artifact["name"] for artifact in queue.listLatestArtifacts(task_id)["artifacts"]]
    made = ["public/logs/peer.txt", "private/peer.txt", "private/object.txt", "public/object.txt", "public/missing.txt"]
    assert names == sorted(made), names
    paged = queue.listArtifacts(task_id, run_id, query={"limit": "2"})
    assert len(paged["artifacts"]) == 2 and paged["continuationToken"], paged

    for name in ("public/logs/peer.txt", "private/peer.txt"):
        assert get(queue.buildSignedUrl("getLatestArtifact", task_id, name)) == CONTENT
        assert get(queue.artifact(task_id, run_id, name)["url"]) == CONTENT
    anonymous = taskcluster.Queue({"rootUrl": options["rootUrl"]})
    for name, reader in (("private/object.txt", queue), ("public/object.txt", anonymous)):
        content, content_type = download.downloadArtifactToBuf(taskId=task_id, name=name, queueService=reader)
        assert (bytes(content), content_type) == (CONTENT, "text/plain")
        assert get(queue.buildSignedUrl("getLatestArtifact", task_id, name)) == CONTENT
    assert get(anonymous.buildUrl("getLatestArtifact", task_id, "public/logs/peer.txt")) == CONTENT
    try:
        queue.getLatestArtifact(task_id, "public/missing.txt")
    except taskcluster.exceptions.TaskclusterRestFailure as failure:
        assert failure.status_code == 424, failure
    else:
        raise AssertionError("an error artifact was given out")
    try:
        worker.createTask(taskcluster.slugId(), definition)
    except taskcluster.exceptions.TaskclusterAuthFailure:
        pass
    except taskcluster.exceptions.TaskclusterRestFailure as failure:
        assert failure.status_code == 403, failure
    else:
        raise AssertionError("the task's credentials created a task")
    ask_for_a_purge(options)
    print("python: all is well")


main()
