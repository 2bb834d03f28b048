// SPDX-License-Identifier: Apache-2.0
// The installed grants, each with its sockets under /run/bpfwarden: grant/NAME, and for a grant over control groups
// cgroup/PATH/ATTACH_TYPE. Write permission on one is the first condition to open it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/sessions.hpp"

namespace bpfwarden::broker {

class GrantSockets {
  public:
    struct Places {
        std::string run = "/run/bpfwarden";
        std::string root = "/";  // where etc/bpfwarden and usr/lib/bpfwarden are looked for
    };
    GrantSockets(EventLoop& loop, Sessions& sessions, audit::Log& log, Places places)
        : loop_(loop), sessions_(sessions), log_(log), places_(std::move(places)) {}
    ~GrantSockets();

    struct Change {
        std::vector<std::string> added, changed, removed, same;
        std::vector<std::string> problems;  // why some could not be read; only of load_valid()
    };
    // Reads all grants, and the keys of signers. One that is not valid changes nothing at all, and is the Error.
    // Sessions keep what they were opened with.
    Result<Change> reload() { return load(true); }
    // The same for the start: a grant or key that is not valid is left out, so that one mistake does not close all
    // doors.
    Result<Change> load_valid() { return load(false); }
    // Ends all sessions of a grant and closes its sockets until the next reload. How many sessions; not_found.
    Result<std::size_t> revoke(const std::string& name);

    std::size_t count() const;

  private:
    // A socket that people connect to.
    struct Listener {
        std::string path;
        UniqueFd socket;
        EventLoop::Watch watch;
    };
    struct Entry {
        std::shared_ptr<const GrantRevision> grant;
        std::shared_ptr<Counters> counters;
        std::vector<std::unique_ptr<Listener>> listeners;
    };
    // A socket to be, and what narrows the grant there.
    struct Planned {
        std::string path;
        std::vector<std::shared_ptr<const GrantRevision>> more;
    };
    Result<std::vector<Planned>> plan(const std::string& name, const grant::Resolved& grant) const;
    Result<Change> load(bool all_or_nothing);
    Result<std::unique_ptr<Listener>> listen(const Planned& planned, const std::string& name,
                                             const std::string& access);
    // Those at the paths of `kept` were replaced, and their names are not theirs any more.
    void close_sockets(std::vector<std::unique_ptr<Listener>>& listeners, const std::vector<Planned>& kept);
    void accept(Listener& listener, const std::string& name,
                const std::vector<std::shared_ptr<const GrantRevision>>& more);

    EventLoop& loop_;
    Sessions& sessions_;
    audit::Log& log_;
    Places places_;
    std::map<std::string, Entry> grants_;
};

// One path of targets.cgroups and one attach type: what a file below cgroup/ stands for.
struct AttachFile {
    std::string cgroup, attach_type;
};
std::vector<AttachFile> attach_files(const grant::Resolved& grant);
// The grant that narrows another to it, as text.
std::string text_of(const AttachFile& file, const grant::Resolved& grant);

// The permissions of a grant's socket, as ACL text; "" for one that is root's alone.
std::string access_list(const grant::Resolved& grant);

}  // namespace bpfwarden::broker
