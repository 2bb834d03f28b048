// SPDX-License-Identifier: Apache-2.0
#include "cli/recorded_load.hpp"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <map>
#include <memory>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "kernel/names.hpp"

namespace bpfwarden::cli {

namespace {

// The kernel as libbpf sees it while it loads: takes everything, and remembers programs.
class Recorder {
  public:
    long bpf(long command, const bpf_attr& attr) {
        switch (command) {
            case BPF_PROG_LOAD: {
                const auto* code = reinterpret_cast<const bpf_insn*>(attr.insns);
                const long fd = new_fd();
                if (fd >= 0)
                    programs.insert_or_assign(static_cast<int>(fd),
                                              Program{attr.prog_type, {code, code + attr.insn_cnt}});
                return fd;
            }
            case BPF_MAP_CREATE:
            case BPF_BTF_LOAD:
                return new_fd();
            case BPF_MAP_UPDATE_ELEM:
            case BPF_MAP_FREEZE:
            case BPF_PROG_BIND_MAP:
                return 0;
            case BPF_BTF_GET_NEXT_ID:  // no modules: what is in them does not go through a session
            case BPF_OBJ_GET:
                errno = ENOENT;
                return -1;
            default:
                errno = EINVAL;
                return -1;
        }
    }

    struct Program {
        std::uint32_t type = 0;
        std::vector<bpf_insn> instructions;
    };
    std::map<int, Program> programs;  // by fd

  private:
    // libbpf closes it. As large as a map may be, as it maps some.
    static long new_fd() {
        UniqueFd fd(::memfd_create("recorded", MFD_CLOEXEC));
        constexpr off_t largest_map = off_t{1} << 32;
        if (!fd || ::ftruncate(fd.get(), largest_map) != 0) return -1;
        return fd.release();
    }
};

Recorder* recording = nullptr;

std::string last_words;
int keep_words(libbpf_print_level level, const char* format, va_list arguments) {
    if (level == LIBBPF_DEBUG) return 0;
    char text[1024];
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    last_words += text;
    return length;
}

Failure not_loaded(const std::string& path, int error) {
    auto why = last_words;
    if (why.empty()) why = ::strerror(error);
    return fail(Error(Code::bad_input, "libbpf does not load " + quoted(path)).because(std::move(why)));
}

}  // namespace

Result<std::vector<RecordedProgram>> record_load(const std::string& path) {
    last_words.clear();
    ::libbpf_set_print(keep_words);
    const std::unique_ptr<bpf_object, void (*)(bpf_object*)> object(::bpf_object__open_file(path.c_str(), nullptr),
                                                                    ::bpf_object__close);
    if (!object) return not_loaded(path, errno);
    // A map that is pinned is one that is already there, or a file to be made.
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object.get())::bpf_map__set_pin_path(map, nullptr);
    Recorder recorder;
    recording = &recorder;
    const int failed = ::bpf_object__load(object.get());
    recording = nullptr;
    if (failed != 0) return not_loaded(path, -failed);

    std::vector<RecordedProgram> programs;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object.get()) {
        const auto at = recorder.programs.find(::bpf_program__fd(program));
        if (at == recorder.programs.end()) continue;
        const auto type = kernel::Names::known().name(kernel::NameKind::program_type, at->second.type);
        programs.push_back({::bpf_program__name(program), ::bpf_program__section_name(program),
                            type ? std::string(*type) : std::to_string(at->second.type),
                            std::move(at->second.instructions)});
    }
    return programs;
}

}  // namespace bpfwarden::cli

// By the linker's --wrap=syscall this is what every object file of the program calls as syscall(2), libbpf among them.
// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names
extern "C" long __real_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, ...);
extern "C" long __wrap_syscall(long number, ...) {
    va_list from;
    va_start(from, number);
    const long a = va_arg(from, long), b = va_arg(from, long), c = va_arg(from, long), d = va_arg(from, long),
               e = va_arg(from, long), f = va_arg(from, long);
    va_end(from);
    using bpfwarden::cli::recording;
    if (number == SYS_bpf && recording != nullptr) return recording->bpf(a, *reinterpret_cast<const bpf_attr*>(b));
    return __real_syscall(number, a, b, c, d, e, f);
}
// NOLINTEND(bugprone-reserved-identifier)
