"""Reads AWS through boto3: paginated, concurrent, least privilege. Collectors fetch; they judge nothing."""
