// SPDX-License-Identifier: Apache-2.0
// A real bpfwardend with grants of the test's own, and processes of plain users to talk to it.
#pragma once

#include <bpfwarden/bpfwarden.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../eventually.hpp"
#include "../guests.hpp"

namespace bpfwarden::test {

using Words = std::vector<std::string>;

// A user that nobody else has, of this process alone; `other` another one.
uid_t test_user();
uid_t other_user();

// Runs `body` in a child with this uid and no privilege whatever, and gives what it returns; "died of signal N" or
// "exit N" if it did not get that far.
std::string as_user(uid_t uid, const std::function<std::string()>& body);
// Done in each such process first, once: what this one has and those should not.
void forget_in_users(std::function<void()> forget);
// The same in the background: it says something whenever it wants (say()), and is told to go on (wait_for_go()).
class Actor {
  public:
    explicit Actor(uid_t uid, const std::function<void(Actor&)>& body);
    ~Actor();
    Actor(const Actor&) = delete;
    Actor& operator=(const Actor&) = delete;

    // In the test: what it says next; "" if it has ended.
    std::string hear();
    void tell(const std::string& text = "go");
    pid_t pid() const { return pid_; }
    // In the body.
    void say(const std::string& text);
    std::string listen();
    // Whether it would hear something at once.
    bool is_told() const;

  private:
    pid_t pid_ = 0;
    int to_ = -1, from_ = -1;
};

class Daemon {
  public:
    // `grants`: name -> text, "TEST_USER" in it replaced by the number of test_user().
    explicit Daemon(std::map<std::string, std::string> grants = {}) : Daemon(std::move(grants), {}, {}) {}
    // With more options; `before_exec` is done in the daemon's process before it is bpfwardend.
    Daemon(std::map<std::string, std::string> grants, Words options, std::function<void()> before_exec);
    ~Daemon();
    // Another one in the place of one that has ended, which reads the same grants and writes the same log.
    void start();

    void write_grant(const std::string& name, std::string text);
    void remove_grant(const std::string& name);
    // The key of a signer, for the next reload.
    void write_key(const std::string& name, const std::string& pem);
    void remove_key(const std::string& name);
    // The command line tool, as root: {status, stdout + stderr}.
    struct Ran {
        int status = -1;
        std::string output;
    };
    Ran tool(const Words& words) const;

    pid_t pid() const { return pid_; }
    // SIGTERM, and its exit status.
    int stop();
    // Its exit status, when it ends by itself; -1 if it does not.
    int wait();
    void kill();
    // Of the next start().
    void set_options(Words options) { options_ = std::move(options); }
    std::string run_directory() const { return directory_ + "/run"; }
    std::string directory() const { return directory_; }
    std::string standard_error() const;

    // The audit log's lines that have all of these substrings.
    std::vector<std::string> audit(const Words& with) const;
    pid_t spawner() const;
    // The worker's pid of the only session that has one.
    pid_t worker() const;
    // Ids of open sessions.
    Words sessions() const;

  private:
    std::string directory_;
    Words options_;
    std::function<void()> before_exec_;
    pid_t pid_ = 0;
};

// What a plain grant of the tests allows; more lines can be put behind it.
std::string allow(const std::string& lines);
// Inline, so that a test's own constants can be made of it.
inline const std::string everything_but_types =
    "helpers = ['map_lookup_elem', 'map_update_elem', 'ktime_get_ns']\nkfuncs = []\nverifier = ['any']\n";

// ---- small calls for bodies: "ok", or "ERRNAME key" of what was refused
std::string outcome(long result);
int create_map(bpfw_session* session, std::uint32_t type = BPF_MAP_TYPE_ARRAY, std::uint32_t entries = 1);
// r0 = value; exit
int load_program(bpfw_session* session, std::uint32_t type, std::vector<bpf_insn> code = {},
                 std::uint32_t attach_type = 0, std::uint32_t flags = 0);
std::vector<bpf_insn> return_value(int value);
// Adds one to the first element of an array map (8 bytes), then returns `value`.
std::vector<bpf_insn> count_in(int map, int value);
std::uint64_t first_element(int map);
int link(bpfw_session* session, int program, int target, std::uint32_t attach_type);

// By hand, as no library of ours would: a header of the protocol, and one end of a channel over the session's fd.
struct RawHeader {
    std::uint32_t magic = 0x57465042;
    std::uint16_t version = 1, type = 2;  // open_channel
    std::uint32_t id = 0;
    std::uint16_t fds = 0, body = 0;
    std::uint64_t length = 0;
};
bool open_channel(int session, int end);

// The child of this process that goes by this name; 0: there is none.
pid_t child_of(pid_t parent, const std::string& name);

// Whether the kernel still has the program or link of this id.
bool has_program(std::uint32_t id);
std::uint32_t program_id(bpfw_session* session, int stand_in);

}  // namespace bpfwarden::test
