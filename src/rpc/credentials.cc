// Peer credentials of Unix sockets and the roles that follow from them.
#include "rpc/credentials.h"

#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace xsan::rpc {

Role role_of(const PeerCredentials& peer, const AccessPolicy& policy) {
    if (peer.uid == policy.admin_uid) return Role::admin;
    if (!policy.viewer_gid) return Role::none;
    const gid_t viewers = *policy.viewer_gid;
    const bool member = peer.gid == viewers ||
                        std::find(peer.groups.begin(), peer.groups.end(), viewers) !=
                            peer.groups.end();
    return member ? Role::viewer : Role::none;
}

Outcome<PeerCredentials> peer_credentials(int socket_fd) {
    ucred credentials{};
    socklen_t bytes = sizeof credentials;
    if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0) {
        return Failure(Errc::io_error, fmt::format("SO_PEERCRED: {}", std::strerror(errno)));
    }
    PeerCredentials peer;
    peer.uid = credentials.uid;
    peer.gid = credentials.gid;
    peer.pid = credentials.pid;

    std::vector<gid_t> groups(64);
    bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    int result = getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
    if (result != 0 && errno == ERANGE) {  // the kernel has written the size that it needs
        groups.resize(bytes / sizeof(gid_t));
        result = getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
    }
    if (result == 0) {
        groups.resize(bytes / sizeof(gid_t));
        peer.groups = std::move(groups);
    }
    return peer;  // without SO_PEERGROUPS (Linux before 4.13) only the primary group counts
}

std::optional<gid_t> find_group(const std::string& name) {
    std::vector<char> storage(1024);
    for (;;) {
        group entry{};
        group* found = nullptr;
        const int result = getgrnam_r(name.c_str(), &entry, storage.data(), storage.size(), &found);
        if (result == ERANGE && storage.size() < (std::size_t{1} << 20)) {
            storage.resize(storage.size() * 2);
            continue;
        }
        if (result != 0 || found == nullptr) return std::nullopt;
        return found->gr_gid;
    }
}

}  // namespace xsan::rpc
