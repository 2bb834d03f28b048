// SPDX-License-Identifier: Apache-2.0
// What a container runtime does with a profile that has a listenerPath, before it starts the container's program: a
// filter that asks, its listener sent to that path with the container process state, and no word back.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>

#include "act.hpp"
#include "raw.hpp"

namespace bpfwarden::test {

using namespace raw;

// Asks about every bpf(2), as profiles without conditions on arguments do.
static int install_profile() {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<__u32>(offsetof(seccomp_data, nr))),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{4, code};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    constexpr unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

static bool send_state(const std::string& path, std::string state, int listener) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
    iovec part{state.data(), state.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &listener, sizeof listener);
    const bool sent = ::sendmsg(socket, &message, MSG_NOSIGNAL) > 0;
    ::close(socket);
    return sent;
}

// PATH [STATE]: what the grant allows, what it refuses, and a command that is the kernel's.
BW_ACT(contained, "contained") {
    const int listener = install_profile();
    if (listener < 0) return "filter " + word(listener);
    const auto state =
        args.size() > 1 ? args[1] : R"({"ociVersion":"1.0.2","fds":["seccompFd"],"pid":1,"metadata":"","state":{}})";
    if (!send_state(args.at(0), state, listener)) return "send " + word(-1);
    ::close(listener);
    const int map = create_map();
    std::string text = word(map);
    text += " " + word(create_map(BPF_MAP_TYPE_HASH));
    std::uint32_t key = 0;
    std::uint64_t value = 0;
    bpf_attr attr{};
    attr.map_fd = static_cast<__u32>(map);
    attr.key = address(&key);
    attr.value = address(&value);
    return text + " " + word(sys_bpf(BPF_MAP_LOOKUP_ELEM, attr));
}

}  // namespace bpfwarden::test
