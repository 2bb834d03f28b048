// SPDX-License-Identifier: Apache-2.0
// The part of systemd that a daemon which keeps sessions talks to: the notification socket with its store of fds, and
// how they are handed to the next one. What systemd does that would hurt, this does as well: one fd is kept once,
// whatever its names, and one that hangs up is let go of unless it came with FDPOLL=0.
#pragma once

#include <sys/types.h>

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.hpp"

namespace bpfwarden::test {

class ServiceManager {
  public:
    ServiceManager();
    ~ServiceManager();

    // For Daemon: hands over what is stored, and where to notify.
    std::function<void()> hand_over();
    // Until all that was sent so far is done, as systemd does before it looks who has died.
    void catch_up();

    std::vector<std::string> names();
    // The first with a name that begins so; "" if there is none.
    std::string name_of(const std::string& beginning);
    void put(const std::string& name, int fd);  // takes it
    void remove(const std::string& name);
    void remove_all();  // the service was stopped
    // Kills this process when it has said as many more things about the store.
    void kill_after(int messages, pid_t pid);

  private:
    struct Kept {
        std::string name;
        UniqueFd fd;
        bool poll = true;
    };
    void listen();
    void take(const std::string& text, std::vector<UniqueFd> fds);
    void forget_hung_up();

    std::string address_;
    UniqueFd socket_;
    std::mutex mutex_;
    std::vector<Kept> kept_;
    std::set<std::string> markers_;
    int until_kill_ = 0;
    pid_t to_kill_ = 0;
    std::thread thread_;
};

}  // namespace bpfwarden::test
