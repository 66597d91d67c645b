// One task's whole life by the published Node client, against the deployment of the usual variables.
import assert from 'node:assert/strict';
import taskcluster from 'taskcluster-client';

const QUEUE = 'peers/node';
const CONTENT = Buffer.from('written by the Node client\n'.repeat(1000));

const request = async (url, options = {}) => {
  const response = await fetch(url, { ...options, signal: AbortSignal.timeout(60_000) });
  assert(response.ok, `${url}: ${response.status} ${await response.clone().text()}`);
  return Buffer.from(await response.arrayBuffer());
};

const failsWith = async (status, promise) => {
  await assert.rejects(promise, error => {
    assert.equal(error.statusCode, status, String(error));
    return true;
  });
};

const options = taskcluster.fromEnvVars();
const queue = new taskcluster.Queue(options);
await queue.ping();
assert((await new taskcluster.Auth(options).currentScopes()).scopes.length > 0);

const taskId = taskcluster.slugid();
const expires = taskcluster.fromNowJSON('2 days');
const definition = {
  taskQueueId: QUEUE,
  created: new Date().toJSON(),
  deadline: taskcluster.fromNowJSON('1 hour'),
  expires,
  tags: { kind: 'peer' },
  metadata: {
    name: 'peer',
    description: 'A task of the Node client',
    owner: 'peer@example.com',
    source: 'https://example.com/peer',
  },
  payload: { any: ['thing', null, 1.5, 'ü'] },
};
const { status: created } = await queue.createTask(taskId, definition);
assert.equal(created.state, 'pending');
assert.deepEqual((await queue.task(taskId)).payload, definition.payload);
assert.equal((await queue.pendingTasks(QUEUE)).pendingTasks, 1);

const { tasks: [claim, ...others] } = await queue.claimWork(QUEUE, { workerGroup: 'peers', workerId: 'node', tasks: 4 });
assert.equal(claim.status.taskId, taskId);
assert.equal(others.length, 0);
const { runId } = claim;
let worker = new taskcluster.Queue({ rootUrl: options.rootUrl, credentials: claim.credentials });
const reclaimed = await worker.reclaimTask(taskId, runId);
worker = new taskcluster.Queue({ rootUrl: options.rootUrl, credentials: reclaimed.credentials });

for (const name of ['public/logs/peer.txt', 'private/peer.txt']) {
  const { putUrl, contentType } = await worker.createArtifact(taskId, runId, name, {
    storageType: 's3', contentType: 'text/plain', contentLength: CONTENT.length, expires,
  });
  await request(putUrl, { method: 'PUT', body: CONTENT, headers: { 'content-type': contentType } });
}
await worker.createArtifact(taskId, runId, 'public/missing.txt', {
  storageType: 'error', reason: 'file-missing-on-worker', message: 'there was no such file', expires,
});
const { status: resolved } = await worker.reportCompleted(taskId, runId);
assert.equal(resolved.state, 'completed');

assert.equal((await queue.status(taskId)).status.runs[runId].reasonResolved, 'completed');
const { tasks: members } = await queue.listTaskGroup(taskId);
assert.deepEqual(members.map(member => member.status.taskId), [taskId]);
const { artifacts, continuationToken } = await queue.listArtifacts(taskId, runId, { limit: 2 });
assert.equal(artifacts.length, 2);
const { artifacts: rest } = await queue.listArtifacts(taskId, runId, { limit: 2, continuationToken });
assert.equal(rest.length, 1);

for (const name of ['public/logs/peer.txt', 'private/peer.txt']) {
  assert.deepEqual(await request(queue.buildSignedUrl(queue.getLatestArtifact, taskId, name)), CONTENT);
  assert.deepEqual(await request((await queue.artifact(taskId, runId, name)).url), CONTENT);
}
const anonymous = new taskcluster.Queue({ rootUrl: options.rootUrl });
assert.deepEqual(await request(anonymous.buildUrl(anonymous.getLatestArtifact, taskId, 'public/logs/peer.txt')), CONTENT);
await failsWith(424, queue.getLatestArtifact(taskId, 'public/missing.txt'));
await failsWith(403, worker.createTask(taskcluster.slugid(), definition));
await failsWith(404, queue.status(taskcluster.slugid()));

// Temporary credentials are issued without asking anybody.
const temporary = taskcluster.createTemporaryCredentials({
  scopes: ['queue:create-task:lowest:peers/other'],
  start: taskcluster.fromNow('-1 minute'),
  expiry: taskcluster.fromNow('1 hour'),
  credentials: options.credentials,
});
const limited = new taskcluster.Queue({ rootUrl: options.rootUrl, credentials: temporary });
await failsWith(403, limited.cancelTask(taskId));
console.log('node: all is well');
