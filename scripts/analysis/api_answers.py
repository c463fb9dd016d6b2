"""Writes down every answer that Schemathesis was given: a line with status, method and path of the description for each, in the file
that EARNEST_API_ANSWERS names. `scripts/api_test.py` has Schemathesis load it."""

import os

import schemathesis


@schemathesis.hook
def after_call(ctx, case, response):
    with open(os.environ["EARNEST_API_ANSWERS"], "a") as answers:
        answers.write(f"{response.status_code} {case.method.upper()} {case.operation.path}\n")
