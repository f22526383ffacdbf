"""Speaks to AWS through boto3: paginated, concurrent, least privilege. Collectors fetch; they judge nothing.

`changes` alone changes anything: what an approved plan says, and nothing else.
"""
