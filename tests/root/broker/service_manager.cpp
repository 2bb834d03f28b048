// SPDX-License-Identifier: Apache-2.0
#include "service_manager.hpp"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "daemon.hpp"

namespace bpfwarden::test {

namespace {

sockaddr_un address_of(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
    return address;
}
socklen_t length_of(const std::string& name) {
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

std::string value(const std::string& text, const std::string& key) {
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = text.substr(at, end - at);
        if (line.starts_with(key + "=")) return line.substr(key.size() + 1);
        at = end + 1;
    }
    return {};
}

bool same_file(int one, int other) {
    const auto self = ::getpid();
    return ::syscall(SYS_kcmp, self, self, KCMP_FILE, one, other) == 0;
}

}  // namespace

// Whoever is forked finds this in order, and has no fd that nobody knows of.
static ServiceManager* current = nullptr;

ServiceManager::ServiceManager() {
    constexpr auto lock = [] {
        if (current != nullptr) current->mutex_.lock();
    };
    constexpr auto unlock = [] {
        if (current != nullptr) current->mutex_.unlock();
    };
    static const int once = ::pthread_atfork(lock, unlock, unlock);
    EXPECT_EQ(once, 0);
    current = this;
    // A process that is forked from this one would keep what this one lets go of.
    forget_in_users([this] { kept_.clear(); });
    static int number = 0;
    address_ = "bpfwarden-test-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
    socket_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto address = address_of(address_);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), length_of(address_)), 0);
    thread_ = std::thread([this] { listen(); });
}

ServiceManager::~ServiceManager() {
    const auto address = address_of(address_);
    (void)::sendto(socket_.get(), "END", 3, 0, reinterpret_cast<const sockaddr*>(&address), length_of(address_));
    thread_.join();
    current = nullptr;
    forget_in_users({});
}

void ServiceManager::listen() {
    for (;;) {
        char text[4096];
        iovec part{text, sizeof text};
        alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        pollfd wait{socket_.get(), POLLIN, 0};
        (void)::poll(&wait, 1, -1);
        const std::lock_guard lock(mutex_);
        const auto n = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n < 0) continue;
        std::vector<UniqueFd> fds;
        for (auto* part_of = CMSG_FIRSTHDR(&message); part_of != nullptr; part_of = CMSG_NXTHDR(&message, part_of)) {
            if (part_of->cmsg_type != SCM_RIGHTS) continue;
            const auto count = (part_of->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(part_of) + i * sizeof fd, sizeof fd);
                fds.emplace_back(fd);
            }
        }
        const std::string said(text, static_cast<std::size_t>(n));
        if (said == "END") return;
        take(said, std::move(fds));
    }
}

void ServiceManager::take(const std::string& text, std::vector<UniqueFd> fds) {
    const auto name = value(text, "FDNAME");
    if (!name.empty() && until_kill_ > 0 && --until_kill_ == 0) ::kill(to_kill_, SIGKILL);
    if (text.starts_with("MARKER")) {
        markers_.insert(text);
    } else if (value(text, "FDSTOREREMOVE") == "1") {
        std::erase_if(kept_, [&](const Kept& one) { return one.name == name; });
    } else if (value(text, "FDSTORE") == "1") {
        for (auto& fd : fds) {
            bool there = false;
            for (const auto& one : kept_) there |= same_file(one.fd.get(), fd.get());
            if (!there) kept_.push_back({name, std::move(fd), value(text, "FDPOLL") != "0"});
        }
    }
}

void ServiceManager::forget_hung_up() {
    std::erase_if(kept_, [](const Kept& one) {
        pollfd state{one.fd.get(), 0, 0};
        return one.poll && ::poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
    });
}

void ServiceManager::catch_up() {
    static std::atomic<int> number = 0;
    const auto marker = "MARKER" + std::to_string(++number);
    const auto address = address_of(address_);
    EXPECT_GT(::sendto(socket_.get(), marker.data(), marker.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                       length_of(address_)),
              0);
    EXPECT_TRUE(eventually([&] {
        const std::lock_guard lock(mutex_);
        return markers_.contains(marker);
    }));
    const std::lock_guard lock(mutex_);
    forget_hung_up();
}

std::function<void()> ServiceManager::hand_over() {
    return [this] {
        // In the daemon's process to be: there is no other thread here.
        std::string names;
        std::vector<int> high;  // out of the way of where they go
        const auto above = static_cast<int>(3 + kept_.size());
        for (const auto& one : kept_) {
            names += (names.empty() ? "" : ":") + one.name;
            high.push_back(::fcntl(one.fd.get(), F_DUPFD_CLOEXEC, above));
            if (high.back() < 0) ::_exit(125);
        }
        for (std::size_t i = 0; i < high.size(); ++i) ::dup2(high[i], static_cast<int>(3 + i));
        ::setenv("NOTIFY_SOCKET", ("@" + address_).c_str(), 1);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", std::to_string(high.size()).c_str(), 1);
        ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
    };
}

std::vector<std::string> ServiceManager::names() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& one : kept_) all.push_back(one.name);
    return all;
}

std::string ServiceManager::name_of(const std::string& beginning) {
    for (const auto& name : names())
        if (name.starts_with(beginning)) return name;
    return {};
}

void ServiceManager::put(const std::string& name, int fd) {
    const std::lock_guard lock(mutex_);
    kept_.push_back({name, UniqueFd(fd), false});
}

void ServiceManager::remove(const std::string& name) {
    const std::lock_guard lock(mutex_);
    std::erase_if(kept_, [&](const Kept& one) { return one.name == name; });
}

void ServiceManager::kill_after(int messages, pid_t pid) {
    const std::lock_guard lock(mutex_);
    until_kill_ = messages;
    to_kill_ = pid;
}

void ServiceManager::remove_all() {
    const std::lock_guard lock(mutex_);
    kept_.clear();
}

}  // namespace bpfwarden::test
