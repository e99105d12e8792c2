"""The data root shared with nerdctl: names, locks, volumes, hosts files, network configurations."""
