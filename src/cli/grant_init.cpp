// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant init --template NAME`
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/grant.hpp"
#include "cli/grant_json.hpp"
#include "grant/templates.hpp"

namespace bpfwarden::cli {

Result<> write_new(const std::string& path, std::string_view text) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) {
        const int err = errno;
        auto error = Error::from_errno(err, fmt::format("cannot write {}", quoted(path)));
        if (err == EEXIST) return fail(std::move(error).advise("give --output a name that is not taken"));
        return fail(std::move(error));
    }
    while (!text.empty()) {
        const ssize_t done = ::write(fd.get(), text.data(), text.size());
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) {
            auto failure = fail_errno(fmt::format("cannot write {}", quoted(path)));
            ::unlink(path.c_str());  // ours: O_EXCL made it
            return failure;
        }
        text.remove_prefix(static_cast<std::size_t>(done));
    }
    return {};
}

Result<int> grant_init(const Args& args) {
    const auto form = args.value("--template").value_or("");
    const auto name = args.value("--name").value_or(form);
    const auto text = BW_TRY(grant::fill_template(form, name, args.value("--user").value_or("")));
    const auto output = args.value("--output");
    const bool write = output && !args.has("--dry-run");
    if (write) BW_TRY(write_new(*output, text));
    if (args.json)
        print_init_json(name, text, output, write);
    else if (!write)
        fmt::print("{}", text);
    if (output && !args.json)
        fmt::print(stderr, "{} {}; next: bpfwarden grant check {}\n", write ? "wrote" : "would write",
                   printable(*output), printable(*output));
    return 0;
}

}  // namespace bpfwarden::cli
