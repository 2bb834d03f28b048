// SPDX-License-Identifier: Apache-2.0
// The command that the tests run under a grant: it tells what it is and what it can do. It knows nothing of bpfwarden.
#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace {

using Words = std::vector<std::string>;

const char* token_path() {
    const char* path = ::getenv("LIBBPF_BPF_TOKEN_PATH");
    return path != nullptr && *path != '\0' ? path : "/sys/fs/bpf";
}

int open_token() {
    const int root = ::open(token_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return -errno;
    const int token = ::bpf_token_create(root, nullptr);
    const int err = errno;
    ::close(root);
    return token < 0 ? -err : token;
}

// BPF_F_TOKEN_FD, which older uapi headers lack.
constexpr std::uint32_t token_flag = 1U << 16;

int load_xdp() {
    const int token = open_token();
    const bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 2 /* XDP_PASS */},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, opts);
    opts.expected_attach_type = BPF_XDP;
    if (token >= 0) {
        opts.token_fd = static_cast<std::uint32_t>(token);
        opts.prog_flags = token_flag;
    }
    return ::bpf_prog_load(BPF_PROG_TYPE_XDP, "witness", "GPL", code, 2, &opts);
}

// By hand: libbpf 1.5 gives a map its name only where it could make one without a token.
int make_map(const char* name) {
    struct {
        std::uint32_t map_type, key_size, value_size, max_entries, map_flags, inner_map_fd, numa_node;
        char map_name[16];
        std::uint32_t map_ifindex, btf_fd, btf_key_type_id, btf_value_type_id, btf_vmlinux_value_type_id;
        std::uint64_t map_extra;
        std::int32_t value_type_btf_obj_fd, map_token_fd;
    } attr{};
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    std::strncpy(attr.map_name, name, sizeof attr.map_name - 1);
    if (const int token = open_token(); token >= 0) {
        attr.map_token_fd = token;
        attr.map_flags = token_flag;
    }
    return static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
}

void show(const char* key, const std::string& value) { std::printf("%s=%s\n", key, value.c_str()); }

std::string token_masks() {
    const int token = open_token();
    if (token < 0) return ::strerrorname_np(-token);
    std::uint64_t masks[4] = {};  // struct bpf_token_info
    std::uint32_t size = sizeof masks;
    if (::bpf_obj_get_info_by_fd(token, masks, &size) == 0) {
        char text[128];
        std::snprintf(text, sizeof text, "%llx/%llx/%llx/%llx", static_cast<unsigned long long>(masks[0]),
                      static_cast<unsigned long long>(masks[1]), static_cast<unsigned long long>(masks[2]),
                      static_cast<unsigned long long>(masks[3]));
        return text;
    }
    // Before 6.17 a token does not describe itself; its fdinfo does.
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(token));
    std::string all;
    for (std::string line; std::getline(info, line);)
        if (line.starts_with("allowed_")) all += line.substr(line.find('\t') + 1) + "/";
    return all;
}

std::string open_fds() {
    std::string list;
    DIR* folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) return "unknown";
    std::vector<int> fds;
    while (const dirent* entry = ::readdir(folder))
        if (entry->d_name[0] != '.' && std::atoi(entry->d_name) != ::dirfd(folder))
            fds.push_back(std::atoi(entry->d_name));
    ::closedir(folder);
    std::sort(fds.begin(), fds.end());
    for (const int fd : fds) list += (list.empty() ? "" : " ") + std::to_string(fd);
    return list;
}

std::string limits() {
    std::string list;
    for (int which = 0; which < RLIM_NLIMITS; ++which) {
        rlimit limit{};
        ::getrlimit(static_cast<__rlimit_resource>(which), &limit);
        list += std::to_string(limit.rlim_cur) + ":" + std::to_string(limit.rlim_max) + " ";
    }
    return list;
}

int report() {
    show("fds", open_fds());  // before anything here opens one
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        const auto colon = line.find(":\t");
        if (colon == std::string::npos) continue;
        const std::string key = line.substr(0, colon);
        for (const char* wanted : {"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Umask",
                                   "SigBlk", "SigIgn", "SigPnd", "NoNewPrivs", "Seccomp"})
            if (key == wanted) show(wanted, line.substr(colon + 2));
    }
    char cwd[4096] = "?";
    show("cwd", ::getcwd(cwd, sizeof cwd) != nullptr ? cwd : ::strerrorname_np(errno));
    show("pid", std::to_string(::getpid()));
    show("ppid", std::to_string(::getppid()));
    show("pgrp", std::to_string(::getpgrp()));
    show("sid", std::to_string(::getsid(0)));
    errno = 0;
    show("nice", std::to_string(::getpriority(PRIO_PROCESS, 0)));
    show("limits", limits());
    const char* tty = ::ttyname(0);
    show("tty", tty != nullptr ? tty : "none");
    show("foreground", std::to_string(::tcgetpgrp(0)));
    const pid_t child = ::waitpid(-1, nullptr, WNOHANG);
    show("children", child < 0 && errno == ECHILD ? "none" : "some");
    for (const char* name : {"user", "mnt", "net", "cgroup", "pid", "ipc", "uts"}) {
        char target[64] = "";
        const std::string path = std::string("/proc/self/ns/") + name;
        if (::readlink(path.c_str(), target, sizeof target - 1) < 0) std::strcpy(target, "?");
        show((std::string("ns_") + name).c_str(), target);
    }
    show("token", token_masks());
    return 0;
}

// Where sparse capability files and set-uid bits would show.
int print_ids() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("Uid:") || line.starts_with("CapEff:") || line.starts_with("CapPrm:"))
            std::printf("%s\n", line.c_str());
    return 0;
}

int say(long result) {
    std::printf("%s\n", result < 0 ? ::strerrorname_np(errno) : "ok");
    return 0;
}

int interfaces() {
    struct if_nameindex* all = ::if_nameindex();
    if (all == nullptr) return say(-1);
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (const auto* one = all; one->if_name != nullptr; ++one) {
        ifreq request{};
        std::strncpy(request.ifr_name, one->if_name, sizeof request.ifr_name - 1);
        const bool up = ::ioctl(socket, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
        std::printf("%u %s %s\n", one->if_index, one->if_name, up ? "up" : "down");
    }
    ::if_freenameindex(all);
    ::close(socket);
    return 0;
}

// A datagram to oneself.
int loopback() {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in self{};
    self.sin_family = AF_INET;
    self.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof self;
    auto* address = reinterpret_cast<sockaddr*>(&self);
    char byte = 'x';
    if (::bind(socket, address, size) != 0 || ::getsockname(socket, address, &size) != 0) return say(-1);
    if (::sendto(socket, &byte, 1, 0, address, size) != 1) return say(-1);
    return say(::recv(socket, &byte, 1, 0));
}

int attach_xdp(int ifindex) {
    const int program = load_xdp();
    if (program < 0) {
        std::printf("load: %s\n", ::strerrorname_np(errno));
        return 1;
    }
    if (::bpf_link_create(program, ifindex, BPF_XDP, nullptr) < 0) {
        std::printf("attach: %s\n", ::strerrorname_np(errno));
        return 1;
    }
    std::printf("attached\n");
    std::fflush(stdout);
    char byte;
    while (::read(0, &byte, 1) > 0) {
    }
    return 0;
}

int hold(const char* what, int fd) {
    if (fd < 0) {
        std::printf("%s: %s\n", what, ::strerrorname_np(errno));
        return 1;
    }
    std::printf("%s\n", what);
    std::fflush(stdout);
    char byte;
    while (::read(0, &byte, 1) > 0) {
    }
    return 0;
}

// Leaves a process behind, as daemons do, and says its number.
int leave_daemon() {
    const pid_t daemon = ::fork();
    if (daemon == 0) {
        ::setsid();
        const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
        ::sleep(60);
        ::_exit(0);
    }
    std::printf("%d\n", daemon);
    return 0;
}

int set_disposition_and_wait() {
    std::printf("%d waiting\n", ::getpid());
    std::fflush(stdout);
    while (true) ::pause();
}

int die_of(int signal) {
    // As another program would: with the default action, whatever was inherited.
    ::signal(signal, SIG_DFL);
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, signal);
    ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::raise(signal);
    return 99;
}

int copy_through() {
    char buffer[65536];
    for (ssize_t n; (n = ::read(0, buffer, sizeof buffer)) > 0;)
        for (ssize_t at = 0; at < n;) {
            const ssize_t written = ::write(1, buffer + at, static_cast<std::size_t>(n - at));
            if (written < 0) return 1;
            at += written;
        }
    (void)!::write(2, "\0end\xff", 5);
    return 0;
}

int print_arguments(const Words& words) {
    for (const auto& word : words) {
        for (const char c : word) std::printf("%02x", static_cast<unsigned char>(c));
        std::printf(".\n");
    }
    return 0;
}

int print_environment() {
    for (char** one = environ; *one != nullptr; ++one) {
        std::fputs(*one, stdout);
        std::putchar('\0');
    }
    return 0;
}

int touch(const std::string& path) { return ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644) < 0 ? 1 : 0; }

}  // namespace

int main(int argc, char** argv) {
    const Words words(argv + 1, argv + argc);
    const std::string verb = words.empty() ? "" : words[0];
    const auto word = [&](std::size_t at) { return at < words.size() ? words[at] : std::string(); };
    const auto number = [&](std::size_t at) { return std::atoi(word(at).c_str()); };
    const std::map<std::string, std::function<int()>> verbs{
        {"report", report},
        {"ids", print_ids},
        {"arguments", [&] { return print_arguments({words.begin() + 1, words.end()}); }},
        {"environment", print_environment},
        {"exit", [&] { return number(1); }},
        {"die", [&] { return die_of(number(1)); }},
        {"copy", copy_through},
        {"wait", set_disposition_and_wait},
        {"daemon", leave_daemon},
        {"touch", [&] { return touch(word(1)); }},
        {"interfaces", interfaces},
        {"loopback", loopback},
        {"attach-xdp", [&] { return attach_xdp(number(1)); }},
        {"hold-program", [] { return hold("loaded", load_xdp()); }},
        {"hold-map", [&] { return hold("made", make_map(word(1).c_str())); }},
        {"make-map", [] { return say(make_map("witness")); }},
        {"open", [&] { return say(::open(word(1).c_str(), O_RDONLY | O_CLOEXEC)); }},
        {"write", [&] { return say(::open(word(1).c_str(), O_WRONLY | O_CLOEXEC)); }},
        {"setns", [&] { return say(::setns(::open(word(1).c_str(), O_RDONLY | O_CLOEXEC), 0)); }},
        {"setns-fd", [&] { return say(::setns(number(1), 0)); }},
        {"setuid", [&] { return say(::setresuid(0, 0, 0)); }},
        {"mount", [&] { return say(::mount("none", word(1).c_str(), "tmpfs", 0, nullptr)); }},
        {"unmount", [&] { return say(::umount2(word(1).c_str(), MNT_DETACH)); }},
        {"token", [] { return show("token", token_masks()), 0; }},
    };
    const auto found = verbs.find(verb);
    if (found == verbs.end()) {
        std::fprintf(stderr, "usage: witness VERB [WORD…]\n");
        return 2;
    }
    return found->second();
}
