// SPDX-License-Identifier: Apache-2.0
#include "broker/opener.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include "base/text.hpp"
#include "broker/attach_target.hpp"
#include "broker/protocol.hpp"
#include "kernel/file.hpp"
#include "kernel/mount.hpp"
#include "wire/bpf_call.hpp"

namespace bpfwarden::broker {

bool needs_opener(const Rights& rights) {
    return std::ranges::all_of(rights.grants(), [](const grant::Resolved& grant) {
        const auto& types = grant.of(grant::Dimension::program_types);
        return types.wrote("kprobe") || types.wrote("tracepoint") || types.wrote("perf_event") ||
               grant.of(grant::Dimension::map_types).contains("perf_event_array");
    });
}

Result<kernel::CapabilityMask> opener_capabilities(const Rights& rights) {
    const auto bit = [](const char* name) { return kernel::CapabilityMask{1} << *kernel::capability_number(name); };
    const auto paranoid = BW_TRY(kernel::read_file("/proc/sys/kernel/perf_event_paranoid"));
    int level = 4;
    std::from_chars(paranoid.data(), paranoid.data() + paranoid.size(), level);
    // uprobes ask for it since 6.17, and in stable releases before: one in the middle of an instruction destroys the
    // code of every process that has the file.
    const bool uprobes = std::ranges::all_of(
        rights.grants(), [](const grant::Resolved& grant) { return !grant.of(grant::Target::uprobes).empty(); });
    // Debian's own level 3 asks for CAP_SYS_ADMIN whatever else is held (tried on 6.1, 6.12 and 7.2).
    return level > 2 || uprobes ? bit("perfmon") | bit("sys_admin") : bit("perfmon");
}

EventFiles EventFiles::open() {
    EventFiles files;
    // A mount of its own, attached nowhere: the machine's may be missing, or covered.
    if (auto context = kernel::fs_open("tracefs"); context && kernel::fs_create(*context))
        if (auto mount = kernel::fs_mount(*context, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC))
            files.tracefs = UniqueFd(::openat(mount->get(), "events", O_PATH | O_DIRECTORY | O_CLOEXEC));
    files.event_source = UniqueFd(::open("/sys/bus/event_source/devices", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return files;
}

namespace {

std::optional<std::uint64_t> number_in(FdRef directory, const std::string& name) {
    const auto text = kernel::read_file_at(directory, name.c_str());
    std::uint64_t number = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc{})
        return std::nullopt;
    return number;
}

// "category/name", each of letters, digits, '_', '-', '.' and ':' and not beginning with a dot: never a way out of the
// directory.
bool is_event_name(std::string_view name) {
    const auto parts = split(name, '/');
    return parts.size() == 2 && std::ranges::all_of(parts, [](std::string_view part) {
               return !part.empty() && part.front() != '.' && std::ranges::all_of(part, [](char c) {
                   return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                          c == '-' || c == '.' || c == ':';
               });
           });
}

constexpr std::string_view software_events[] = {"cpu-clock",        "task-clock",   "page-faults",  "context-switches",
                                                "cpu-migrations",   "minor-faults", "major-faults", "alignment-faults",
                                                "emulation-faults", "dummy",        "bpf-output",   "cgroup-switches"};
constexpr std::string_view hardware_events[] = {
    "cpu-cycles",    "instructions", "cache-references",        "cache-misses",           "branch-instructions",
    "branch-misses", "bus-cycles",   "stalled-cycles-frontend", "stalled-cycles-backend", "ref-cycles"};

struct Request {
    pid_t sender = 0;
    perf_event_attr attr{};
    std::string name;
    std::int32_t pid = 0, cpu = 0;
    std::uint64_t flags = 0;
    bool with_group = false;
};

class Opener {
  public:
    Opener(FdRef worker, const Rights& rights, EventFiles files, Parser parser, bool by_name)
        : worker_(worker), rights_(rights), files_(std::move(files)), parser_(std::move(parser)), by_name_(by_name) {
        for (const char* type : {"kprobe", "uprobe"})
            if (files_.event_source)
                if (const auto number = number_in(files_.event_source, fmt::format("{}/type", type)))
                    dynamic_types_.emplace(static_cast<std::uint32_t>(*number), type);
    }

    int run() {
        while (true) {
            pollfd wait{worker_.get(), POLLIN, 0};
            if (::poll(&wait, 1, -1) < 0 && errno != EINTR) return 1;
            auto message = receiver_.receive(worker_);
            if (!message || !*message) return 0;
            reset();
            serve(**message);
            reply((*message)->id);
        }
    }

  private:
    void reset() {
        operation_.clear();
        target_.clear();
        event_id_ = 0;
        error_ = 0;
        refusal_.reset();
        key_.clear();
        line_.clear();
        answer_.clear();
        fd_.reset();
    }

    void reply(std::uint32_t id) {
        wire::Writer body, verdict;
        if (refusal_) {
            answer_.clear();
            wire::write_refusal(answer_, *refusal_);
            verdict.number(static_cast<std::int32_t>(refusal_->error));
            verdict.text(refusal_->key);
            verdict.text(refusal_->line);
            verdict.text(refusal_->reason);
            error_ = refusal_->error;
        } else {
            verdict.text(key_);
            verdict.text(line_);
        }
        body.text(operation_);
        body.text(target_);
        body.number(event_id_);
        body.number(static_cast<std::int32_t>(error_));
        body.number(static_cast<std::uint8_t>(refusal_.has_value()));
        body.block(verdict.bytes());
        body.block(answer_.bytes());
        const int fd = fd_.get();
        (void)wire::send(worker_, as_type(Internal::reply), id, body.bytes(), {&fd, fd_ ? 1U : 0U});
    }

    void failed(int error, const char* what) {
        error_ = error;
        answer_.number(static_cast<std::uint8_t>(wire::Answer::failed));
        wire::write_error(answer_, Error::from_errno(error, what));
    }
    void done(int result) {
        error_ = result < 0 ? -result : 0;
        answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
        answer_.number(static_cast<std::int32_t>(result));
    }

    bool judge(const grant::PerfEventOpen& operation) {
        operation_ = grant::describe(operation);
        target_ = operation.event;
        const auto verdict = rights_.check(operation);
        key_ = verdict.key;
        line_ = verdict.at.text();
        if (!verdict.allowed) refusal_ = wire::Refusal{verdict.error, verdict.key, verdict.at.text(), verdict.reason};
        return verdict.allowed;
    }
    void refuse(int error, std::string key, std::string reason) {
        refusal_ = wire::Refusal{error, std::move(key), rights_.last().file, std::move(reason)};
    }

    void serve(wire::Message& message) {
        wire::Reader outer(message.body);
        Request request;
        request.sender = outer.number<std::int32_t>();
        wire::Reader from(outer.block());
        if (!outer.done()) return failed(EPROTO, "a broken request");
        if (message.type == as_type(Internal::read_event)) return read_event(from);
        if (message.type == as_type(Internal::read_events)) return read_events();
        const auto size = from.number<std::uint32_t>();
        const auto bytes = from.raw(size);
        request.name = from.text();
        request.pid = from.number<std::int32_t>();
        request.cpu = from.number<std::int32_t>();
        request.flags = from.number<std::uint64_t>();
        request.with_group = from.number<std::uint8_t>() != 0;
        if (!from.done() || size < PERF_ATTR_SIZE_VER0) return failed(EINVAL, "a broken request");
        if (size > sizeof request.attr &&
            std::ranges::any_of(bytes.subspan(sizeof request.attr), [](std::byte one) { return one != std::byte{0}; }))
            return failed(E2BIG, "attributes that this release does not know");
        std::memcpy(&request.attr, bytes.data(), std::min<std::size_t>(size, sizeof request.attr));
        request.attr.size = static_cast<std::uint32_t>(std::min<std::size_t>(size, sizeof request.attr));
        open_event(request, message.fds);
    }

    void read_event(wire::Reader& from) {
        const auto name = from.text();
        const auto what = from.number<std::uint8_t>();
        if (!from.done() || what > 1) return failed(EPROTO, "a broken request");
        if (!is_event_name(name)) return failed(EINVAL, "not the name of an event: it is CATEGORY/NAME");
        if (!judge({grant::Target::tracepoints, name})) return;
        if (!files_.tracefs) return failed(ENOENT, "this kernel has no tracefs");
        const auto text =
            kernel::read_file_at(files_.tracefs, fmt::format("{}/{}", name, what == 0 ? "id" : "format").c_str());
        if (!text) return failed(text.error().number() != 0 ? text.error().number() : ENOENT, "there is no such event");
        if (what == 0) remember(*text, name);
        answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
        answer_.text(*text);
    }

    // What a program finds below events/ that is to find there what it may open, and nothing else.
    void read_events() {
        operation_ = "tracepoints";
        key_ = "targets.tracepoints";
        answer_.number(static_cast<std::uint8_t>(wire::Answer::done));
        for (const auto& name : granted_events()) {
            const auto id = kernel::read_file_at(files_.tracefs, (name + "/id").c_str());
            const auto format = kernel::read_file_at(files_.tracefs, (name + "/format").c_str());
            if (!id || !format) continue;
            remember(*id, name);
            answer_.text(name);
            answer_.text(*id);
            answer_.text(*format);
        }
    }

    // All of tracefs takes some 30 ms to read: only the directories are read that a pattern can mean.
    std::set<std::string> granted_events() {
        std::set<std::string> names;
        if (!files_.tracefs) return names;
        constexpr auto special = "*?[\\";
        const auto add = [&](const std::string& name) {
            if (rights_.check(grant::PerfEventOpen{grant::Target::tracepoints, name}).allowed) names.insert(name);
        };
        const auto add_all_of = [&](const std::string& category) {
            each_entry(files_.tracefs, category,
                       [&](const std::string& event) { add(fmt::format("{}/{}", category, event)); });
        };
        for (const auto& list : rights_.last().of(grant::Target::tracepoints))
            for (const auto& pattern : list.patterns) {
                const auto category = pattern.glob.substr(0, pattern.glob.find('/'));
                if (pattern.glob.find_first_of(special) == std::string::npos) {
                    if (is_event_name(pattern.glob)) add(pattern.glob);
                } else if (category.find_first_of(special) == std::string::npos) {
                    add_all_of(category);
                } else {
                    each_entry(files_.tracefs, ".", add_all_of);
                }
            }
        return names;
    }
    void remember(const std::string& id, const std::string& name) {
        std::uint64_t number = 0;
        std::from_chars(id.data(), id.data() + id.size(), number);
        names_.insert_or_assign(number, name);
    }

    // A tracepoint's name for its number; numbers that were not asked for by name before are looked for once.
    std::string tracepoint_name(std::uint64_t id) {
        if (const auto known = names_.find(id); known != names_.end()) return known->second;
        if (!files_.tracefs || std::exchange(all_read_, true)) return {};
        each_entry(files_.tracefs, ".", [&](const std::string& category) {
            each_entry(files_.tracefs, category, [&](const std::string& event) {
                const auto name = fmt::format("{}/{}", category, event);
                if (const auto number = number_in(files_.tracefs, name + "/id")) names_.try_emplace(*number, name);
            });
        });
        const auto found = names_.find(id);
        return found == names_.end() ? std::string() : found->second;
    }
    template <class Act>
    static void each_entry(FdRef directory, const std::string& name, Act act) {
        const int fd = ::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return;
        const std::unique_ptr<DIR, int (*)(DIR*)> open(::fdopendir(fd), ::closedir);
        while (const dirent* entry = open ? ::readdir(open.get()) : nullptr)
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.') act(entry->d_name);
    }

    // What the event is, for the grant; false after an answer.
    bool name_event(Request& request, std::span<UniqueFd>& fds, grant::PerfEventOpen& operation) {
        auto& attr = request.attr;
        const auto dynamic = dynamic_types_.find(attr.type);
        if (dynamic != dynamic_types_.end() && dynamic->second == "kprobe") {
            operation = {grant::Target::functions, request.name};
            // By address it would be anything.
            if (request.name.empty())
                return refuse(EPERM, "targets.functions", "a kprobe is opened by its function's name"), false;
            attr.config1 = reinterpret_cast<std::uint64_t>(request.name.c_str());
            return true;
        }
        if (dynamic != dynamic_types_.end()) {
            if (fds.empty()) return failed(EINVAL, "an uprobe needs the opened file"), false;
            if (!name_uprobe(fds.front(), attr, operation)) return false;
            fds = fds.subspan(1);
            return true;
        }
        switch (attr.type) {
            case PERF_TYPE_TRACEPOINT: {
                const auto name = tracepoint_name(attr.config);
                if (name.empty()) return failed(EINVAL, "there is no tracepoint of that number"), false;
                operation = {grant::Target::tracepoints, name};
                return true;
            }
            case PERF_TYPE_SOFTWARE:
                operation = {grant::Target::perf_events, named("software", software_events, attr.config)};
                return true;
            case PERF_TYPE_HARDWARE:
                operation = {grant::Target::perf_events, named("hardware", hardware_events, attr.config & 0xffffffffU)};
                return true;
            default:
                operation = {grant::Target::perf_events, fmt::format("type-{}/{:#x}", attr.type, attr.config)};
                return true;
        }
    }
    // By the place in the file, or by a function that begins there.
    //
    // Soundness: the kernel is given the very file that was asked about, by its fd. Its path is what the kernel says of
    // that fd, which counts in the mount namespace that it was opened in: so the same path here must lead to the same
    // file, or whoever can mount something in a namespace of their own would call any file by any name.
    bool name_uprobe(FdRef file, perf_event_attr& attr, grant::PerfEventOpen& operation) {
        // Bits of `config`: 0 asks for the return of the function, 32 and up are the place of a counter.
        constexpr unsigned counter_shift = 32;
        path_ = fmt::format("/proc/self/fd/{}", file.get());
        char text[4096];
        const auto n = ::readlink(path_.c_str(), text, sizeof text);
        if (n <= 0 || text[0] != '/') return failed(EINVAL, "an uprobe's file has no path"), false;
        const std::string path(text, static_cast<std::size_t>(n));
        operation = {grant::Target::uprobes, fmt::format("{}:{:#x}", path, attr.config2)};
        operation_ = grant::describe(operation);
        target_ = operation.event;
        if (attr.config >> counter_shift != 0)
            return refuse(
                       EPERM, "targets.uprobes",
                       "a counter (semaphore) of a uprobe writes into the memory of every process that has the file"),
                   false;
        struct stat given{}, here{};
        if (::fstat(file.get(), &given) != 0 || !S_ISREG(given.st_mode))
            return refuse(EINVAL, "targets.uprobes", "a uprobe's file is no regular file"), false;
        if (::stat(path.c_str(), &here) != 0 || here.st_dev != given.st_dev || here.st_ino != given.st_ino)
            return refuse(
                       EPERM, "targets.uprobes",
                       fmt::format("{} is another file here than where it was opened, or cannot be looked at", path)),
                   false;
        attr.config1 = reinterpret_cast<std::uint64_t>(path_.c_str());
        const bool allowed = rights_.check(operation).allowed;
        if ((allowed && !by_name_) || !parser_) return true;
        if (name_functions(file, path, attr.config2, operation)) return true;
        if (allowed) refusal_.reset();
        return allowed;
    }

    // Of the names, one that every grant allows; without such a one, any, for the refusal.
    bool name_functions(FdRef given, const std::string& path, std::uint64_t offset, grant::PerfEventOpen& operation) {
        // Nothing of the file was opened yet (O_PATH), and whoever serves a file system could keep us waiting.
        const auto type = kernel::file_system_type(given);
        const bool is_fuse = !type || *type == kernel::fuse_magic;
        const UniqueFd file(is_fuse ? -1 : ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
        if (!file)
            return refuse(EPERM, "targets.uprobes", fmt::format("the functions of {} cannot be read", path)), false;
        auto names = parser_.functions_at(file, offset);
        if (!names) {
            const auto& error = names.error();
            return refuse(error.number() == EIO ? EIO : EPERM, "targets.uprobes",
                          fmt::format("{}: {}: {}", path, error.what(), error.why())),
                   false;
        }
        for (const auto& name : *names) {
            operation.event = fmt::format("{}:{}", path, name);
            if (rights_.check(operation).allowed) break;
        }
        return true;
    }
    static std::string named(std::string_view kind, std::span<const std::string_view> names, std::uint64_t config) {
        return config < names.size() ? fmt::format("{}/{}", kind, names[config]) : fmt::format("{}/{}", kind, config);
    }

    void open_event(Request& request, std::span<UniqueFd> fds) {
        grant::PerfEventOpen operation;
        auto& attr = request.attr;
        if (!name_event(request, fds, operation) || !judge(operation)) return;
        // Its program would run on in the children of the process, whatever becomes of the session.
        if (attr.inherit != 0 && rights_.forbids_not_revocable() != nullptr)
            return refuse(EPERM, "session.not_revocable",
                          "an inherited perf event goes on after the session is revoked, and the grant does not say "
                          "not_revocable = true");
        if (attr.sigtrap != 0 || (request.flags & (PERF_FLAG_PID_CGROUP | PERF_FLAG_FD_OUTPUT)) != 0)
            return refuse(EPERM, "session",
                          "signals, cgroups and shared outputs of perf events do not go through a session");
        // Kernel addresses and registers in samples, by the grant's own word for that.
        int group = -1;
        if (request.with_group) {
            if (fds.empty() || !perf_event_id(fds.front())) return failed(EBADF, "the group's fd is no perf event");
            group = fds.front().get();
        }
        const pid_t pid = request.pid == 0 ? request.sender : request.pid;
        fd_ = UniqueFd(static_cast<int>(
            ::syscall(SYS_perf_event_open, &attr, pid, request.cpu, group, request.flags | PERF_FLAG_FD_CLOEXEC)));
        if (!fd_) return done(-errno);
        if (const auto id = perf_event_id(fd_)) event_id_ = *id;
        done(0);
    }

    FdRef worker_;
    const Rights& rights_;
    EventFiles files_;
    Parser parser_;
    bool by_name_;
    std::map<std::uint32_t, std::string> dynamic_types_;
    std::map<std::uint64_t, std::string> names_;
    bool all_read_ = false;
    std::string path_;
    wire::Receiver receiver_;

    std::string operation_, target_, key_, line_;
    std::uint64_t event_id_ = 0;
    int error_ = 0;
    std::optional<wire::Refusal> refusal_;
    wire::Writer answer_;
    UniqueFd fd_;
};

}  // namespace

int run_opener(FdRef worker, const Rights& rights, EventFiles files, Parser parser, bool by_name) {
    return Opener(worker, rights, std::move(files), std::move(parser), by_name).run();
}

}  // namespace bpfwarden::broker
