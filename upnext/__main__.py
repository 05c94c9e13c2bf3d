"""`python -m upnext`: the same as the command `upnext`."""

from upnext.cli import main

if __name__ == "__main__":
    main()
