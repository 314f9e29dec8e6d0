"""Change an API key without a gap: make the next one, try it, switch the old one off, delete it.

It rotates a key of its own and touches no other; what it has made is deleted in the end, come what may.
"""

import secrets

from _router import connect

from indoxrouter import ApiKey, AuthenticationError, Client, IndoxRouterError

NAME = f"rotation-example-{secrets.token_hex(4)}"  # with its random end it is no key of yours


def show(title: str, keys: list[ApiKey]) -> None:
    print(f"\n{title}:")
    for key in keys:  # `key` is masked; the whole key is in `secret`, only when it was created, and never shown
        print(f"  {key.name!s:34}{key.key!s:20}{'active' if key.is_active else 'off':8}until {key.expires_at}")


def create(client: Client, name: str) -> ApiKey:
    """The new key; its `secret` would go to where yours are kept."""
    return client.create_api_key(f"{NAME}-{name}", expiration_days=1)


def user(client: Client, key: ApiKey) -> str | None:
    """Who the router says we are, with this key."""
    with Client(key.secret or "", client.base_url) as other:
        return other.get_user_info().username


with connect() as client:
    show("Keys before", client.api_keys())
    try:
        old = create(client, "old")
        print("\nThe old key works for", user(client, old))
        new = create(client, "new")
        print("The new key works for", user(client, new))  # only now the old one can go
        client.revoke_api_key(old)
        try:
            print("The old key is switched off, but the router still lets", user(client, old), "in")
        except AuthenticationError as error:
            print("The old key works no more:", error.message)
        show("Keys now", client.api_keys())
        client.delete_api_key(old)
    finally:
        for key in client.api_keys():  # asked for anew: the answer to a creation may have been lost
            if (key.name or "").startswith(NAME):
                try:
                    client.delete_api_key(key)
                except IndoxRouterError as error:
                    print(f"\n{key.name} is left, for a day at most: {error.message}")
        show("Keys after", client.api_keys())
