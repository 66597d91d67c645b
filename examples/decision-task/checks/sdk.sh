cargo build --locked -p taskcluster-decision-task
