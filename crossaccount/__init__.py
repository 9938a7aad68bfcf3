"""Share SageMaker model versions with other AWS accounts and deploy them there.

Not a flow: nothing in this package knows Prefect. Import the modules by name; nothing is loaded from here.
"""
