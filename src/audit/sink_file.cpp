// SPDX-License-Identifier: Apache-2.0
#include "audit/sink_file.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "base/text.hpp"

namespace bpfwarden::audit {

Result<std::unique_ptr<FileSink>> FileSink::open(FileOptions options) {
    std::unique_ptr<FileSink> sink(new FileSink(std::move(options)));
    BW_TRY(sink->reopen());
    return sink;
}

// Soundness: the folder belongs to the daemon; should somebody else be able to write there, a link or a fifo in place
// of the file is refused and not followed or waited for.
Result<UniqueFd> FileSink::open_file(const std::string& path, int flags) const {
    constexpr int always = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    UniqueFd file(::open(path.c_str(), always | flags, 0640));
    if (!file) return fail_errno("opening " + quoted(path));
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return fail_errno("fstat of " + quoted(path));
    if (!S_ISREG(status.st_mode)) return fail(Code::bad_input, quoted(path) + " is no regular file");
    // Both are right already unless we made the file, or somebody changed them and means it.
    if (status.st_size == 0) {
        if (::fchmod(file.get(), 0640) != 0) return fail_errno("chmod of " + quoted(path));
        // A daemon that is not a member of the group cannot give the file to it: then it stays with the daemon's own.
        if (const group* entry = options_.group.empty() ? nullptr : ::getgrnam(options_.group.c_str())) [[maybe_unused]]
            const int given = ::fchown(file.get(), static_cast<uid_t>(-1), entry->gr_gid);
    }
    return file;
}

Result<> FileSink::reopen() {
    auto file = BW_TRY(open_file(options_.path, 0));
    struct stat status{};
    char last = '\n';
    if (::fstat(file.get(), &status) != 0) return fail_errno("fstat of " + quoted(options_.path));
    if (status.st_size > 0 && ::pread(file.get(), &last, 1, status.st_size - 1) != 1)
        return fail_errno("reading the end of " + quoted(options_.path));
    cut_ = last != '\n';
    file_ = std::move(file);
    return {};
}

// The new file is there before anything is moved: when it cannot be made (no room, no right), nothing has happened.
// At every moment FILE exists, at most one number is without a file, and files only ever move to higher numbers: so a
// reader that opens FILE, then FILE.1 and so on misses none. It may see one twice.
Result<> FileSink::rotate() {
    const std::string fresh = options_.path + ".new";
    auto file = BW_TRY(open_file(fresh, O_TRUNC));
    for (unsigned number = options_.keep; number > 1; --number)
        if (::rename(rotated(number - 1).c_str(), rotated(number).c_str()) != 0 && errno != ENOENT)
            return fail_errno("renaming " + quoted(rotated(number - 1)));
    if (options_.keep > 0) {
        ::unlink(rotated(1).c_str());  // there only if the folder was tampered with, or keep is 1
        if (::link(options_.path.c_str(), rotated(1).c_str()) != 0 &&
            ::rename(options_.path.c_str(), rotated(1).c_str()) != 0 && errno != ENOENT)
            return fail_errno("renaming " + quoted(options_.path));
    }
    if (::rename(fresh.c_str(), options_.path.c_str()) != 0) return fail_errno("renaming " + quoted(fresh));
    file_ = std::move(file);
    cut_ = false;
    return {};
}

Written FileSink::write(std::span<const LogRecord> batch) {
    Written written;
    std::string text;
    for (const auto& record : batch) text += record.line;
    struct stat status{};
    if (::fstat(file_.get(), &status) != 0) return {0, Error::from_errno(errno, "fstat of " + quoted(options_.path))};
    const auto size = [&] { return static_cast<std::uint64_t>(status.st_size); };
    if (status.st_nlink == 0) {  // deleted: what we write would be seen by nobody
        if (auto again = reopen(); !again) return {0, std::move(again).error()};
        ::fstat(file_.get(), &status);
    }
    if (size() > 0 && size() + text.size() > rotate_at_) {
        auto done = rotate();
        // Better one file that is too long than events that are lost; and not to try again at once.
        rotate_at_ = done ? options_.max_size : size() + text.size() + options_.max_size / 8;
        if (!done) written.error = std::move(done).error().within("rotating");
        ::fstat(file_.get(), &status);
    }
    const std::size_t lead = cut_ ? 1 : 0;
    if (cut_) text.insert(text.begin(), '\n');

    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::write(file_.get(), text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            written.error = Error::from_errno(n < 0 ? errno : ENOSPC, "writing to " + quoted(options_.path));
            break;
        }
        done += static_cast<std::size_t>(n);
    }
    // What is there of whole lines stays.
    const auto newline = done == 0 ? std::string::npos : text.rfind('\n', done - 1);
    const std::size_t whole = newline == std::string::npos ? 0 : newline + 1;
    if (whole > 0) cut_ = false;
    if (whole < done && ::ftruncate(file_.get(), status.st_size + static_cast<off_t>(whole)) != 0) cut_ = true;
    std::size_t end = lead;
    for (const auto& record : batch) {
        end += record.line.size();
        if (end > whole) break;
        ++written.count;
    }
    return written;
}

}  // namespace bpfwarden::audit
