// SPDX-License-Identifier: Apache-2.0
#include "kernel/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/text.hpp"

namespace bpfwarden::kernel {

static Result<std::string> read_all(int fd, const std::string& name, std::size_t most) {
    std::string text;
    char buffer[16384];
    while (true) {
        const ssize_t n = ::read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("reading " + name);
        if (n == 0) return text;
        if (static_cast<std::size_t>(n) > most - text.size()) return fail_errno(EFBIG, "reading " + name);
        text.append(buffer, static_cast<std::size_t>(n));
    }
}

static Result<std::string> read_at(FdRef directory, const char* name, std::size_t most) {
    const UniqueFd fd(::openat(directory.get(), name, O_RDONLY | O_CLOEXEC));
    if (!fd) return fail_errno(std::string("opening ") + name);
    return read_all(fd.get(), name, most);
}

Result<std::string> read_file(const std::string& path, std::size_t most) {
    return read_at(FdRef(AT_FDCWD), path.c_str(), most);
}

Result<std::string> read_file_at(FdRef directory, const char* name) {
    return read_at(directory, name, std::string::npos);
}

Result<TextFile> read_text_file(const std::string& path, std::size_t most, std::string_view noun) {
    const bool standard_input = path == "-";
    const auto name = standard_input ? "standard input" : quoted(path);
    UniqueFd opened;
    int fd = STDIN_FILENO;
    TextFile file{"stdin", {}};
    if (!standard_input) {
        // O_NONBLOCK: opening a FIFO must not wait for a writer before it is found to be none of a file's business.
        opened = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
        if (!opened) return fail_errno(fmt::format("cannot read {}", name));
        struct stat status{};
        if (::fstat(opened.get(), &status) != 0) return fail_errno(fmt::format("cannot read {}", name));
        if (!S_ISREG(status.st_mode))
            return fail(Error(Code::bad_input, fmt::format("{} is not a regular file", name))
                            .because(fmt::format("a {} is a text file", noun)));
        file.identity = fmt::format("{}:{}", status.st_dev, status.st_ino);
        fd = opened.get();
    }
    auto text = read_all(fd, name, most);
    if (!text && text.error().number() == EFBIG)
        return fail(Error(Code::bad_input, fmt::format("{} is longer than {}", name, format_size(most)))
                        .because(fmt::format("no {} is that long", noun)));
    if (!text) return fail_errno(text.error().number(), fmt::format("cannot read {}", name));
    file.text = std::move(*text);
    return file;
}

Result<> write_file_at(FdRef directory, const char* name, std::string_view text) {
    const UniqueFd fd(::openat(directory.get(), name, O_WRONLY | O_CLOEXEC));
    if (!fd) return fail_errno(std::string("opening ") + name);
    const ssize_t n = ::write(fd.get(), text.data(), text.size());
    if (n < 0) return fail_errno(std::string("writing to ") + name);
    if (static_cast<std::size_t>(n) != text.size()) return fail(Code::failed, std::string("a short write to ") + name);
    return {};
}

bool kernel_calls_it(FdRef fd, std::string_view name) {
    char link[64];
    const auto n = ::readlink(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), link, sizeof link);
    return n > 0 && std::string_view(link, static_cast<std::size_t>(n)) == name;
}

}  // namespace bpfwarden::kernel
