// SPDX-License-Identifier: Apache-2.0
// Files that are read at the next start of the machine: nobody keeps them from being written.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "attack/attack.hpp"

namespace bpfwarden::test {

inline constexpr const char* kept_by_an_image =
    "what is on disk is for the next start of the machine, and is kept by a signed image";

// With the folders that it is in. Status.
inline int write_file(const std::filesystem::path& file, const std::string& text) {
    std::error_code problem;
    std::filesystem::create_directories(file.parent_path(), problem);
    std::ofstream out(file);
    out << text;
    return out.flush() ? 0 : EIO;
}

}  // namespace bpfwarden::test
