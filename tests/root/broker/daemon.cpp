// SPDX-License-Identifier: Apache-2.0
#include "daemon.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace bpfwarden::test {

namespace fs = std::filesystem;

std::string allow(const std::string& lines) {
    return "format = 1\nsubject = [ { uid = TEST_USER } ]\n[allow]\n" + lines;
}

uid_t test_user() {
    static const uid_t user = 710'000'000 + static_cast<uid_t>(::getpid()) * 2;
    return user;
}
uid_t other_user() { return test_user() + 1; }

static fs::path build() { return fs::read_symlink("/proc/self/exe").parent_path() / "../.."; }

static std::function<void()>& to_forget() {
    static std::function<void()> forget;
    return forget;
}
void forget_in_users(std::function<void()> forget) { to_forget() = std::move(forget); }

static void become(uid_t uid) {
    if (to_forget()) to_forget()();
    if (uid == 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0)
        ::_exit(120);
    // What changed its ids is not dumpable, and then /proc/self is root's.
    ::prctl(PR_SET_DUMPABLE, 1);
}

std::string as_user(uid_t uid, const std::function<std::string()>& body) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return "pipe2";
    (void)test_user();
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        become(uid);
        const auto said = body();
        (void)!::write(ends[1], said.data(), said.size());
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string said;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) return "died of signal " + std::to_string(WTERMSIG(status));
    if (WEXITSTATUS(status) != 0) return "exit " + std::to_string(WEXITSTATUS(status));
    return said;
}

Actor::Actor(uid_t uid, const std::function<void(Actor&)>& body) {
    int there[2], back[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, there) != 0 ||
        ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, back) != 0)
        return;
    (void)test_user();
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::close(there[0]);
        ::close(back[0]);
        to_ = back[1];
        from_ = there[1];
        become(uid);
        body(*this);
        ::_exit(0);
    }
    ::close(there[1]);
    ::close(back[1]);
    to_ = there[0];
    from_ = back[0];
}

Actor::~Actor() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(to_);
    ::close(from_);
}

std::string Actor::hear() {
    char buffer[4096];
    pollfd wait{from_, POLLIN, 0};
    // The large counts of a soak take minutes.
    const int seconds = std::getenv("BPFWARDEN_SOAK") != nullptr ? 1800 : 20;
    if (::poll(&wait, 1, seconds * 1000) <= 0) return "(nothing in " + std::to_string(seconds) + " s)";
    const auto n = ::recv(from_, buffer, sizeof buffer, 0);
    return n <= 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(n));
}
void Actor::tell(const std::string& text) { (void)!::send(to_, text.data(), text.size(), MSG_NOSIGNAL); }
void Actor::say(const std::string& text) { tell(text); }
std::string Actor::listen() { return hear(); }
bool Actor::is_told() const {
    pollfd state{from_, POLLIN, 0};
    return ::poll(&state, 1, 0) > 0;
}

static std::string with_user(std::string text) {
    for (std::size_t at; (at = text.find("TEST_USER")) != std::string::npos;)
        text.replace(at, 9, std::to_string(test_user()));
    return text;
}

Daemon::Daemon(std::map<std::string, std::string> grants, Words options, std::function<void()> before_exec)
    : options_(std::move(options)), before_exec_(std::move(before_exec)) {
    char name[] = "/tmp/bpfwarden-test.XXXXXX";
    directory_ = ::mkdtemp(name);
    fs::permissions(directory_, fs::perms::owner_all | fs::perms::others_exec | fs::perms::group_exec);
    fs::create_directories(directory_ + "/root/etc/bpfwarden/grants.d");
    for (auto& [grant, text] : grants) write_grant(grant, std::move(text));
    start();
    ::setenv("BPFWARDEN_RUN", run_directory().c_str(), 1);
}

void Daemon::start() {
    const auto program = (build() / "bin/bpfwardend").string();
    Words words{
        "bpfwardend", "--run", run_directory(), "--root", directory_ + "/root", "--audit", directory_ + "/audit.jsonl"};
    words.insert(words.end(), options_.begin(), options_.end());
    const auto said = standard_error().size();
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int log = ::open((directory_ + "/stderr").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
        ::dup2(log, 2);
        if (before_exec_) before_exec_();
        std::vector<char*> argv;
        for (auto& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        ::execv(program.c_str(), argv.data());
        ::_exit(127);
    }
    EXPECT_TRUE(eventually([&] {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = 0;
            return true;
        }
        return standard_error().substr(said).contains("serving");
    })) << standard_error();
}

Daemon::~Daemon() {
    if (pid_ > 0) {
        EXPECT_EQ(stop(), 0) << standard_error();
    }
    if (::testing::Test::HasFailure()) {
        // For whoever looks into it.
        std::ifstream audit_log(directory_ + "/audit.jsonl");
        std::cerr << standard_error();
        for (std::string line; std::getline(audit_log, line);) std::cerr << line.substr(0, 600) << '\n';
    }
    std::error_code problem;
    fs::remove_all(directory_, problem);
}

void Daemon::write_grant(const std::string& name, std::string text) {
    std::ofstream(directory_ + "/root/etc/bpfwarden/grants.d/" + name + ".toml") << with_user(std::move(text));
}
void Daemon::remove_grant(const std::string& name) {
    fs::remove(directory_ + "/root/etc/bpfwarden/grants.d/" + name + ".toml");
}

void Daemon::write_key(const std::string& name, const std::string& pem) {
    fs::create_directories(directory_ + "/root/etc/bpfwarden/keys");
    std::ofstream(directory_ + "/root/etc/bpfwarden/keys/" + name + ".pem") << pem;
}
void Daemon::remove_key(const std::string& name) {
    fs::remove(directory_ + "/root/etc/bpfwarden/keys/" + name + ".pem");
}

Daemon::Ran Daemon::tool(const Words& words) const {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return {};
    const auto program = (build() / "bin/bpfwarden").string();
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::dup2(ends[1], 1);
        ::dup2(ends[1], 2);
        std::vector<char*> argv{const_cast<char*>("bpfwarden")};
        for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        ::execv(program.c_str(), argv.data());
        ::_exit(127);
    }
    ::close(ends[1]);
    Ran ran;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        ran.output.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ran;
}

int Daemon::stop() {
    ::kill(pid_, SIGTERM);
    return wait();
}

int Daemon::wait() {
    int status = -1;
    const bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
    if (!ended) {
        ADD_FAILURE() << "bpfwardend does not end";
        this->kill();
        return -1;
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void Daemon::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

std::string Daemon::standard_error() const {
    std::ifstream file(directory_ + "/stderr");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<std::string> Daemon::audit(const Words& with) const {
    // The daemon writes what workers have said whenever it is awake; asking it something wakes it.
    (void)tool({"session", "list"});
    std::ifstream file(directory_ + "/audit.jsonl");
    std::vector<std::string> found;
    for (std::string line; std::getline(file, line);) {
        bool all = true;
        for (const auto& word : with) all = all && line.contains(word);
        if (all) found.push_back(line);
    }
    return found;
}

pid_t Daemon::spawner() const {
    const auto id = std::to_string(pid_);
    std::ifstream children("/proc/" + id + "/task/" + id + "/children");
    pid_t first = 0;
    children >> first;
    return first;
}

pid_t Daemon::worker() const {
    const auto json = tool({"--json", "session", "list"}).output;
    const auto at = json.find("\"worker\": ");
    return at == std::string::npos ? 0 : std::atoi(json.c_str() + at + 10);
}

Words Daemon::sessions() const {
    const auto json = tool({"--json", "session", "list"}).output;
    Words ids;
    for (std::size_t at = 0; (at = json.find("\"id\": \"", at)) != std::string::npos; at += 7)
        ids.push_back(json.substr(at + 7, 8));
    return ids;
}

// ---- calls ---------------------------------------------------------------------------------------------------------

std::string outcome(long result) {
    if (result >= 0) return "ok";
    const int error = errno;
    const char* key = ::bpfw_error_key();
    std::string text = ::strerrorname_np(error);
    if (key != nullptr && *key != '\0') text += std::string(" ") + key;
    return text;
}

int create_map(bpfw_session* session, std::uint32_t type, std::uint32_t entries) {
    bpf_attr attr{};
    attr.map_type = type;
    attr.key_size = type == BPF_MAP_TYPE_RINGBUF ? 0 : type == BPF_MAP_TYPE_LPM_TRIE ? 8 : 4;
    attr.value_size = type == BPF_MAP_TYPE_RINGBUF ? 0 : 8;
    attr.max_entries = entries;
    if (type == BPF_MAP_TYPE_LPM_TRIE) attr.map_flags = BPF_F_NO_PREALLOC;
    return ::bpfw_bpf(session, BPF_MAP_CREATE, &attr, sizeof attr);
}

std::vector<bpf_insn> return_value(int value) {
    return {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = value},
            {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
}

std::vector<bpf_insn> count_in(int map, int value) {
    std::vector<bpf_insn> code{
        {.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .src_reg = 0, .off = -4, .imm = 0},
        {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10, .off = 0, .imm = 0},
        {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .src_reg = 0, .off = 0, .imm = -4},
        {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .off = 0, .imm = map},
        {.code = 0, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
        {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = BPF_FUNC_map_lookup_elem},
        {.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 2, .imm = 0},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .src_reg = 0, .off = 0, .imm = 1},
        {.code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = 0, .src_reg = 1, .off = 0, .imm = BPF_ADD},
    };
    const auto end = return_value(value);
    code.insert(code.end(), end.begin(), end.end());
    return code;
}

int load_program(bpfw_session* session, std::uint32_t type, std::vector<bpf_insn> code, std::uint32_t attach_type,
                 std::uint32_t flags) {
    if (code.empty()) code = return_value(0);
    bpf_attr attr{};
    attr.prog_type = type;
    attr.insns = reinterpret_cast<std::uint64_t>(code.data());
    attr.insn_cnt = static_cast<std::uint32_t>(code.size());
    attr.license = reinterpret_cast<std::uint64_t>("GPL");
    attr.expected_attach_type = attach_type;
    attr.prog_flags = flags;
    std::strcpy(attr.prog_name, "test");
    return ::bpfw_bpf(session, BPF_PROG_LOAD, &attr, sizeof attr);
}

std::uint64_t first_element(int map) {
    std::uint32_t key = 0;
    std::uint64_t value = ~std::uint64_t{0};
    bpf_attr attr{};
    attr.map_fd = static_cast<std::uint32_t>(map);
    attr.key = reinterpret_cast<std::uint64_t>(&key);
    attr.value = reinterpret_cast<std::uint64_t>(&value);
    ::syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof attr);
    return value;
}

int link(bpfw_session* session, int program, int target, std::uint32_t attach_type) {
    bpf_attr attr{};
    attr.link_create.prog_fd = static_cast<std::uint32_t>(program);
    attr.link_create.target_fd = static_cast<std::uint32_t>(target);
    attr.link_create.attach_type = attach_type;
    return ::bpfw_bpf(session, BPF_LINK_CREATE, &attr, sizeof attr);
}

bool open_channel(int session, int end) {
    RawHeader header;
    header.fds = 1;
    iovec part{&header, sizeof header};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof end)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof end);
    std::memcpy(CMSG_DATA(rights), &end, sizeof end);
    return ::sendmsg(session, &message, MSG_NOSIGNAL) >= 0;
}

pid_t child_of(pid_t parent, const std::string& name) {
    const auto task = std::to_string(parent);
    std::ifstream list("/proc/" + task + "/task/" + task + "/children");
    for (pid_t pid = 0; list >> pid;) {
        std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
        if (std::string comm; std::getline(file, comm) && comm == name) return pid;
    }
    return 0;
}

bool has_program(std::uint32_t id) {
    bpf_attr attr{};
    attr.prog_id = id;
    const int fd = static_cast<int>(::syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attr, sizeof attr));
    if (fd >= 0) ::close(fd);
    return fd >= 0;
}

std::uint32_t program_id(bpfw_session* session, int stand_in) {
    bpf_prog_info info{};
    bpf_attr attr{};
    attr.info.bpf_fd = static_cast<std::uint32_t>(stand_in);
    attr.info.info_len = sizeof info;
    attr.info.info = reinterpret_cast<std::uint64_t>(&info);
    return ::bpfw_bpf(session, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) < 0 ? 0 : info.id;
}

}  // namespace bpfwarden::test
