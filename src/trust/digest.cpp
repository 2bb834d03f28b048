// SPDX-License-Identifier: Apache-2.0
#include "trust/digest.hpp"

#include <openssl/evp.h>

#include <memory>
#include <vector>

namespace bpfwarden::trust {

namespace {

class Sha256 {
  public:
    Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        // Looked up once: each time it would cost more than hashing a small program.
        static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
        good_ = context_ && algorithm != nullptr && EVP_DigestInit_ex(context_.get(), algorithm, nullptr) == 1;
    }
    void add(std::span<const std::byte> bytes) {
        good_ = good_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
    }
    Result<std::string> finish() {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        if (!good_ || EVP_DigestFinal_ex(context_.get(), digest, &size) != 1)
            return fail(Error(Code::failed, "SHA-256 failed").because("the cryptographic library refused it"));
        static constexpr char digits[] = "0123456789abcdef";
        std::string text(2 * std::size_t{size}, '0');
        for (std::size_t i = 0; i < size; ++i) {
            text[2 * i] = digits[digest[i] >> 4];
            text[2 * i + 1] = digits[digest[i] & 15];
        }
        return text;
    }

  private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
    bool good_ = false;
};

}  // namespace

Result<std::string> sha256(std::span<const std::byte> bytes) {
    Sha256 sum;
    sum.add(bytes);
    return sum.finish();
}

Result<std::string> sha256_of_file(FdRef file) {
    Sha256 sum;
    std::vector<std::byte> buffer(std::size_t{1} << 18);
    for (off_t at = 0;;) {
        const ssize_t n = ::pread(file.get(), buffer.data(), buffer.size(), at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("reading a file for its digest");
        if (n == 0) return sum.finish();
        sum.add({buffer.data(), static_cast<std::size_t>(n)});
        at += n;
    }
}

}  // namespace bpfwarden::trust
