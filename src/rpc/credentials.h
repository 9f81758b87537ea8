// Who is at the other end of a connection, and what that one may do.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "rpc/schema.h"

namespace xsan::rpc {

// As the kernel recorded them at connect(): a later setuid or exec of the peer changes nothing.
struct PeerCredentials {
    uid_t uid = static_cast<uid_t>(-1);
    gid_t gid = static_cast<gid_t>(-1);
    pid_t pid = 0;
    std::vector<gid_t> groups;  // supplementary
};

// The principal on whose behalf a method runs.
struct Caller {
    Role role = Role::none;
    uid_t uid = static_cast<uid_t>(-1);
    pid_t pid = 0;  // for the log only: a pid says nothing about rights
};

struct AccessPolicy {
    uid_t admin_uid = 0;
    std::optional<gid_t> viewer_gid;  // nullopt: there is no such group, only the admin may call
};

// The admin by uid, viewers by primary or supplementary group, everyone else nothing.
Role role_of(const PeerCredentials& peer, const AccessPolicy& policy);

// SO_PEERCRED and SO_PEERGROUPS of a connected Unix socket.
Outcome<PeerCredentials> peer_credentials(int socket_fd);

// The number of a group; nullopt when it does not exist. Reads /etc/group and what NSS adds:
// blocking.
std::optional<gid_t> find_group(const std::string& name);

}  // namespace xsan::rpc
