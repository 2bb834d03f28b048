// SPDX-License-Identifier: Apache-2.0
#include "broker/signer_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <memory>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "grant/parse.hpp"

namespace bpfwarden::broker {

namespace {

constexpr std::string_view directories[] = {"etc/bpfwarden/keys", "usr/lib/bpfwarden/keys"}, suffix = ".pem";
constexpr std::size_t largest_file = 64 * 1024, most_files = 256;

Result<std::string> read(const std::string& path) {
    // O_NONBLOCK: a FIFO must not hold the daemon up.
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    struct stat info{};
    if (!file || ::fstat(file.get(), &info) != 0) return fail_errno("cannot read " + quoted(path));
    std::string text(largest_file + 1, '\0');
    const auto size = S_ISREG(info.st_mode) ? ::pread(file.get(), text.data(), text.size(), 0) : -1;
    if (size < 0 || static_cast<std::size_t>(size) > largest_file)
        return fail(Error(Code::bad_input, quoted(path) + " is no file of at most 64 KiB"));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

}  // namespace

Result<SignerFiles> read_signer_files(const std::string& root) {
    SignerFiles out;
    std::map<std::string, std::string> paths;  // by the signer's name
    const auto problem = [&](const Error& error) {
        out.problems.push_back(error.why().empty() ? error.what() : error.what() + ": " + error.why());
    };
    for (const auto directory : directories) {
        const auto path = fmt::format("{}{}{}", root, root.ends_with('/') ? "" : "/", directory);
        const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(path.c_str()), ::closedir);
        if (!open) {
            if (errno == ENOENT || errno == ENOTDIR) continue;
            return fail_errno("cannot list " + quoted(path));
        }
        while (const dirent* entry = ::readdir(open.get())) {
            std::string_view name = entry->d_name;
            if (!name.ends_with(suffix) || name.starts_with('.')) continue;
            name.remove_suffix(suffix.size());
            paths.try_emplace(std::string(name), fmt::format("{}/{}", path, entry->d_name));
        }
    }
    for (const auto& [name, path] : paths) {
        if (!grant::valid_name(name)) {
            out.problems.push_back(quoted(path) +
                                   ": the name of a signer is made as that of a grant: a-z, 0-9, \".\", "
                                   "\"_\" and \"-\"");
            continue;
        }
        if (out.texts.size() == most_files) {
            out.problems.push_back(fmt::format("{}: there are more than {} signers", quoted(path), most_files));
            break;
        }
        auto text = read(path);
        if (!text) {
            problem(text.error());
            continue;
        }
        if (const auto signers = trust::Signers::read({{name, *text}}); !signers)
            problem(signers.error());
        else
            out.texts.emplace(name, std::move(*text));
    }
    return out;
}

}  // namespace bpfwarden::broker
