"""The link emulator as a process: UDP both ways, told what to do by flags and by a control socket."""
