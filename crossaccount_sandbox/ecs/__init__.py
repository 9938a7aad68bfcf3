"""Amazon ECS: clusters, task definitions and tasks. Each container of a task is a process of this machine, with the task role."""
