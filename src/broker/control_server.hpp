// SPDX-License-Identifier: Apache-2.0
// The daemon's end of the control socket.
#pragma once

#include <map>

#include "broker/control.hpp"
#include "broker/grant_sockets.hpp"

namespace bpfwarden::broker {

class ControlServer {
  public:
    ControlServer(EventLoop& loop, Sessions& sessions, GrantSockets& grants, const audit::Log& log)
        : loop_(loop), sessions_(sessions), grants_(grants), log_(log) {}
    ~ControlServer();

    // Listens at `path`, or on a socket that was handed over (systemd's socket activation).
    Result<> listen(const std::string& path, UniqueFd inherited = {});

  private:
    struct Connection {
        UniqueFd socket;
        EventLoop::Watch watch;
    };
    void accept();
    void serve(int number);
    Result<> answer(wire::Message& request, FdRef asker, wire::Writer& to, UniqueFd& given);
    std::string metrics() const;

    EventLoop& loop_;
    Sessions& sessions_;
    GrantSockets& grants_;
    const audit::Log& log_;
    std::string path_;
    UniqueFd socket_;
    EventLoop::Watch watch_;
    std::map<int, Connection> connections_;
    wire::Receiver receiver_;
};

}  // namespace bpfwarden::broker
