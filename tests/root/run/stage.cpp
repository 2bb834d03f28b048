// SPDX-License-Identifier: Apache-2.0
#include "stage.hpp"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "kernel/mount.hpp"

namespace bpfwarden::test {

namespace fs = std::filesystem;

namespace {

// Empty too for a file of a process that ends meanwhile, where a stream would throw.
std::string read_text(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    std::string text;
    char buffer[4096];
    for (ssize_t n; fd >= 0 && (n = ::read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(n));
    if (fd >= 0) ::close(fd);
    return text;
}

// A switch of tasks costs an emulated guest little, and waking another processor much: half of a run.
void stay_on_one_processor() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
    ::sched_setaffinity(0, sizeof one, &one);
}

class Environment : public ::testing::Environment {
  public:
    void SetUp() override {
        (void)test_user();  // of this process, not of a child that is the first to ask
        if (emulated()) stay_on_one_processor();
        const fs::path build = fs::read_symlink("/proc/self/exe").parent_path() / "../..";
        home_ = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        directory_ = fs::current_path();
        ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
        ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        // The build may be in /tmp, which is about to be covered. Opened in here: only this namespace's mounts can be
        // bound.
        const int tool = ::open((build / "bin/bpfwarden").c_str(), O_PATH | O_CLOEXEC);
        const int witness = ::open((build / "tests/helpers/witness").c_str(), O_PATH | O_CLOEXEC);
        const int examples = ::open((build / "examples").c_str(), O_PATH | O_CLOEXEC);
        ASSERT_GE(tool, 0) << build;
        ASSERT_GE(witness, 0) << build;
        ASSERT_EQ(::mount("stage", "/tmp", "tmpfs", 0, "mode=1777"), 0);
        ASSERT_EQ(::mount("stage", "/run", "tmpfs", 0, "mode=0755"), 0);
        fs::create_directories(Stage::grants);
        bind(tool, Stage::tool);
        bind(witness, Stage::witness);
        if (examples >= 0) {
            fs::create_directory(Stage::examples);
            bind(examples, Stage::examples);
        }
        ASSERT_EQ(::chdir("/tmp"), 0);
        ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
        enter_cgroup();
    }

    void TearDown() override {
        if (!cgroup.empty()) {
            std::ofstream(outer_cgroup_ + "/cgroup.procs") << ::getpid();
            eventually([] {
                std::error_code problem;
                for (const auto& below : fs::directory_iterator(cgroup, problem)) ::rmdir(below.path().c_str());
                return ::rmdir(cgroup.c_str()) == 0;
            });
        }
        // GoogleTest writes its report after this, to a path of the world outside.
        if (home_ >= 0 && ::setns(home_, CLONE_NEWNS) == 0) fs::current_path(directory_);
    }

    static std::string cgroup;

  private:
    static void bind(int fd, const char* path) {
        if (!fs::exists(path)) std::ofstream(path).put('\n');
        ASSERT_EQ(::mount(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, nullptr, MS_BIND, nullptr), 0) << path;
        ::close(fd);
    }

    void enter_cgroup() {
        std::string inside;
        std::ifstream own("/proc/self/cgroup");
        for (std::string line; std::getline(own, line);)
            if (line.starts_with("0::")) inside = line.substr(3);
        const auto mounts = kernel::mount_table();
        if (!mounts) return;
        for (const auto& mount : *mounts)
            if (mount.file_system == "cgroup2" && mount.root == "/")
                outer_cgroup_ = mount.path + (inside == "/" ? "" : inside);
        if (outer_cgroup_.empty()) return;
        cgroup = outer_cgroup_ + "/bpfwarden-test-" + std::to_string(::getpid());
        if (::mkdir(cgroup.c_str(), 0755) != 0) {
            cgroup.clear();
            return;
        }
        std::ofstream(cgroup + "/cgroup.procs") << ::getpid();
    }

    int home_ = -1;
    fs::path directory_;
    std::string outer_cgroup_;
};
std::string Environment::cgroup;

[[maybe_unused]] const auto* const environment = ::testing::AddGlobalTestEnvironment(new Environment);

}  // namespace

const std::string& Stage::cgroup() { return Environment::cgroup; }

uid_t test_user() {
    static const uid_t user = 700'000'000 + static_cast<uid_t>(::getpid());
    return user;
}

std::string write_file(const std::string& name, const std::string& text) {
    const std::string path = std::string(Stage::grants) + "/" + name;
    std::ofstream(path) << text;
    return path;
}

std::string write_grant(const GrantText& text) {
    static int count = 0;
    std::string all = "format = 1\nname = \"test\"\n" + text.top + "[allow]\n" + text.allow + text.open + text.rest;
    const std::string_view placeholder = "TEST_USER";
    for (std::size_t at; (at = all.find(placeholder)) != std::string::npos;)
        all.replace(at, placeholder.size(), std::to_string(test_user()));
    return write_file("grant-" + std::to_string(++count) + ".toml", all);
}

const std::string& plain_grant() {
    static const std::string path = write_grant({});
    return path;
}

const std::string& contained_grant() {
    static const std::string path =
        write_grant({.allow = "program_types = [\"cgroup_sock_addr\"]\nattach_types = [\"cgroup_inet4_connect\"]\n"
                              "capabilities = [\"bpf\", \"net_admin\"]\n"});
    return path;
}

Words under(const std::string& grant, const Words& command, const Words& options) {
    Words argv{Stage::tool, "run", "--grant", grant};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back("--");
    argv.insert(argv.end(), command.begin(), command.end());
    return argv;
}

std::map<std::string, std::string> read_report(const std::string& text) {
    std::map<std::string, std::string> report;
    for (std::size_t at = 0; at < text.size();) {
        auto end = text.find('\n', at);
        if (end == std::string::npos) end = text.size();
        const std::string line = text.substr(at, end - at);
        if (const auto equals = line.find('='); equals != std::string::npos)
            report[line.substr(0, equals)] = line.substr(equals + 1);
        at = end + 1;
    }
    return report;
}

bool kernel_has_tokens() {
    // BPF_TOKEN_CREATE is command 36; unknown commands are EINVAL, a bad fd is EBADF.
    struct {
        std::uint32_t flags, bpffs_fd;
        std::uint64_t rest[20];
    } attr{0, ~0U, {}};
    return ::syscall(SYS_bpf, 36, &attr, sizeof attr) < 0 && errno == EBADF;
}

// ---- traces ------------------------------------------------------------------------------------------------------

namespace {

void add_mounts(const char* table, bool all, std::set<std::string>& mounts) {
    std::ifstream file(table);
    for (std::string line; std::getline(file, line);)
        if (all || line.contains("bpfwarden")) mounts.insert(line);
}

void add_files(const fs::path& folder, std::set<std::string>& files) {
    std::error_code problem;
    for (fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, problem), end;
         at != end; at.increment(problem)) {
        if (at->path() == Stage::examples || at->path() == Stage::grants) {
            at.disable_recursion_pending();
            continue;
        }
        files.insert(at->path());
    }
}

// Reaps what has ended.
void reap() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}

std::set<int> processes() {
    std::map<int, int> parents;
    std::set<int> found;
    struct stat tool{}, witness{};
    ::stat(Stage::tool, &tool);
    ::stat(Stage::witness, &witness);
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const int pid = std::atoi(entry.path().filename().c_str());
        if (pid <= 0 || pid == ::getpid()) continue;
        const std::string text = read_text(entry.path() / "stat");
        const auto after_name = text.rfind(") ");
        if (after_name == std::string::npos) continue;
        parents[pid] = std::atoi(text.c_str() + after_name + 4);
        struct stat exe{};
        if (::stat((entry.path() / "exe").c_str(), &exe) == 0 &&
            ((exe.st_dev == tool.st_dev && exe.st_ino == tool.st_ino) ||
             (exe.st_dev == witness.st_dev && exe.st_ino == witness.st_ino)) &&
            // The same program of another build may run on this machine at the same time; a child of ours has our /tmp.
            fs::exists(entry.path() / "root/run/stage"))
            found.insert(pid);
    }
    for (const auto& [pid, parent] : parents)
        for (int at = pid; parents.contains(at); at = parents[at])
            if (parents[at] == ::getpid()) {
                found.insert(pid);
                break;
            }
    return found;
}

// struct bpf_prog_info up to created_by_uid; as of 4.15, so any header would do, but not all name it alike.
std::set<std::uint32_t> programs_of(uid_t uid) {
    std::set<std::uint32_t> found;
    bpf_attr attr;
    for (std::uint32_t id = 0;;) {
        std::memset(&attr, 0, sizeof attr);
        attr.start_id = id;
        if (::syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof attr) != 0) return found;
        id = attr.next_id;
        std::memset(&attr, 0, sizeof attr);
        attr.prog_id = id;
        const int fd = static_cast<int>(::syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attr, sizeof attr));
        if (fd < 0) continue;
        bpf_prog_info info{};
        std::memset(&attr, 0, sizeof attr);
        attr.info.bpf_fd = static_cast<std::uint32_t>(fd);
        attr.info.info_len = sizeof info;
        attr.info.info = reinterpret_cast<std::uint64_t>(&info);
        if (::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) == 0 && info.created_by_uid == uid)
            found.insert(id);
        ::close(fd);
    }
}

template <class T>
std::string words(const std::set<T>& now, const std::set<T>& before, const char* what) {
    std::string all;
    for (const auto& one : now) {
        if (before.contains(one)) continue;
        if constexpr (std::is_same_v<T, std::string>)
            all += std::string(what) + " " + one + "; ";
        else
            all += std::string(what) + " " + std::to_string(one) + "; ";
    }
    return all;
}

}  // namespace

Traces traces_now() {
    reap();
    Traces now;
    add_mounts("/proc/self/mountinfo", true, now.mounts);
    add_mounts("/proc/1/mountinfo", false, now.mounts);
    if (!Stage::cgroup().empty())
        for (const auto& entry : fs::directory_iterator(Stage::cgroup()))
            if (entry.is_directory()) now.cgroups.insert(entry.path());
    add_files("/tmp", now.files);
    add_files("/run", now.files);
    now.processes = processes();
    now.programs = programs_of(test_user());
    for (const int pid : now.processes)
        for (const char* name : {"user", "mnt", "net", "cgroup"}) {
            std::error_code gone;
            const auto id = fs::read_symlink("/proc/" + std::to_string(pid) + "/ns/" + name, gone);
            if (!gone) now.namespaces.insert(id);
        }
    return now;
}

std::string left_behind(const Traces& before) {
    Traces now;
    if (eventually([&] { return (now = traces_now()) == before; }, std::chrono::seconds(2))) return "";
    std::string all = words(now.mounts, before.mounts, "mount") + words(now.cgroups, before.cgroups, "cgroup") +
                      words(now.files, before.files, "file") + words(now.processes, before.processes, "process") +
                      words(now.programs, before.programs, "BPF program");
    for (const int pid : now.processes) all += read_text("/proc/" + std::to_string(pid) + "/cmdline") + " ";
    return all.empty() ? "something that was there is gone" : all;
}

}  // namespace bpfwarden::test
