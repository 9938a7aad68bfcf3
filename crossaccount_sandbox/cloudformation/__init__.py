"""CloudFormation as the sandbox has it: stacks of resources that are made by calls of the services, judged as any other."""
