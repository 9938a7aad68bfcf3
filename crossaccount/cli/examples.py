"""An example of each command, which ends its help: a line that a person can type, as it stands in the docs.

Not here: the options (``arguments``).
"""

EXAMPLES = {
    "automations": "crossaccount automations --silent-seconds 600",
    "check": "crossaccount check configs/sandbox.yaml --consumer staging",
    "completion": "crossaccount completion bash > ~/.local/share/bash-completion/completions/crossaccount",
    "demo": "crossaccount demo",
    "deploy": "crossaccount deploy configs/sandbox.yaml --consumer staging --version 1 --keep",
    "doctor": "crossaccount doctor configs/sandbox.yaml",
    "files": "crossaccount files --to shipped",
    "history": "crossaccount history configs/sandbox.yaml --newest 5",
    "init": "crossaccount init churn.yaml --group churn --region us-east-1 --producer models --consumer staging",
    "plan": "crossaccount plan configs/sandbox.yaml --out plan.json",
    "promote": "crossaccount promote configs/sandbox.yaml --version 2 --dry-run",
    "reap": "crossaccount reap configs/sandbox.yaml --older-than 90 --dry-run",
    "revoke": "crossaccount revoke configs/sandbox.yaml --consumer staging --dry-run",
    "roles": "crossaccount roles configs/sandbox.yaml --out roles",
    "rollback": "crossaccount rollback configs/sandbox.yaml --consumer staging --reason 'wrong answers'",
    "samples": "crossaccount samples configs/sandbox.yaml --from questions --record staging",
    "sandbox": "crossaccount sandbox --port 5000",
    "schema": "crossaccount schema > crossaccount.schema.json",
    "share": "crossaccount share --plan plan.json",
    "ui": "crossaccount ui --port 4200",
}
"""By the command's name."""
