"""gst-rtsp-server, by Debian's Python: writes what is published at /cam into a file, as H.264, or with sound, where its
name ends in .mkv.

python3 rtsp_server.py PORT FILE USER PASSWORD
"""

# mypy: ignore-errors
from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)
port, path, user, password = sys.argv[1:]
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
file = f"filesink buffer-mode=2 append=true async=false sync=false location={path}"
alone = f"( rtph264depay name=depay0 ! video/x-h264,stream-format=byte-stream,alignment=au ! {file} )"
both = (
    f"( matroskamux name=mux streamable=true ! {file} "
    "rtph264depay name=depay0 ! h264parse ! queue ! mux. "
    "rtpmp4gdepay name=depay1 ! aacparse ! queue ! mux. )"
)
factory.set_launch(both if path.endswith(".mkv") else alone)
auth = GstRtspServer.RTSPAuth.new()
auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
token = GstRtspServer.RTSPToken()
token.set_string("media.factory.role", "publisher")
auth.add_digest(user, password, token)
server.set_auth(auth)
permissions = GstRtspServer.RTSPPermissions()
permissions.add_permission_for_role("publisher", "media.factory.access", True)
permissions.add_permission_for_role("publisher", "media.factory.construct", True)
factory.set_permissions(permissions)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
GLib.MainLoop().run()
