"""The 2019 Tailored Audiences incident on real components, without and with the library.

People give a phone number for two-factor authentication; an advertiser uploads a customer list; an ads job
matches the two. Run it with ``python -m examples.tailored_audiences``.
"""
