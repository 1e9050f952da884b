"""The session's only open door: nginx, asking the gate for every request.

``settings`` reads the environment, ``configuration`` renders ``nginx/nginx.conf.template`` with
it, ``__main__`` writes the result and becomes nginx.
"""
