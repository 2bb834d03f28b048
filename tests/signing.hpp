// SPDX-License-Identifier: Apache-2.0
// Keys, certificates and detached signatures as `openssl req -x509` and `openssl cms -sign -binary -outform DER` make
// them, in the test's own process.
#pragma once

#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bpfwarden::test {

using Content = std::vector<std::byte>;

struct KeyOptions {
    const char* curve = "P-256";
    unsigned rsa_bits = 0;                         // instead
    const char* other = nullptr;                   // "ED25519", instead
    long not_before = -3600, not_after = 3600;     // seconds from now
    const char* usage = "digitalSignature";        // null: without the extension
    const class SigningKey* issuer = nullptr;      // null: itself
    const class SigningKey* looks_like = nullptr;  // the same name and serial number
};

struct SignOptions {
    bool attributes = true;
    const EVP_MD* digest = EVP_sha256();
    bool detached = true;
};

class SigningKey {
  public:
    explicit SigningKey(const std::string& name, const KeyOptions& options = {})
        : key_(make_key(options), EVP_PKEY_free), certificate_(X509_new(), X509_free) {
        X509* one = certificate_.get();
        static long serial = 0;
        X509_set_version(one, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(one), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(one), options.not_before);
        X509_gmtime_adj(X509_getm_notAfter(one), options.not_after);
        X509_set_pubkey(one, key_.get());
        X509_NAME* subject = X509_get_subject_name(one);
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()),
                                   -1, -1, 0);
        if (options.looks_like != nullptr)
            X509_set_serialNumber(one, X509_get_serialNumber(options.looks_like->certificate_.get()));
        const SigningKey& issuer = options.issuer != nullptr ? *options.issuer : *this;
        X509_set_issuer_name(one, X509_get_subject_name(issuer.certificate_.get()));
        if (options.usage != nullptr) {
            X509_EXTENSION* usage = X509V3_EXT_conf_nid(nullptr, nullptr, NID_key_usage, options.usage);
            X509_add_ext(one, usage, -1);
            X509_EXTENSION_free(usage);
        }
        must(X509_sign(one, issuer.key_.get(), options.other != nullptr ? nullptr : EVP_sha256()) > 0);
    }

    // The certificate, as PEM.
    std::string pem() const {
        const Bio out(BIO_new(BIO_s_mem()), BIO_free_all);
        must(PEM_write_bio_X509(out.get(), certificate_.get()) == 1);
        return text_in(out.get());
    }

    Content sign(std::span<const std::byte> content, const SignOptions& options = {}) const {
        return sign_by({this}, content, options);
    }
    // One signature by several.
    static Content sign_by(const std::vector<const SigningKey*>& signers, std::span<const std::byte> content,
                           const SignOptions& options = {}) {
        const unsigned flags =
            CMS_BINARY | (options.detached ? CMS_DETACHED : 0U) | (options.attributes ? 0U : CMS_NOATTR);
        const Cms cms(CMS_sign(nullptr, nullptr, nullptr, nullptr, flags | CMS_PARTIAL), CMS_ContentInfo_free);
        for (const auto* one : signers)
            must(CMS_add1_signer(cms.get(), one->certificate_.get(), one->key_.get(), options.digest,
                                 flags | CMS_PARTIAL) != nullptr);
        const auto from = in(content);
        must(CMS_final(cms.get(), from.get(), nullptr, flags) == 1);
        return der(cms.get());
    }
    // Another kind of CMS: content encrypted for this key.
    Content encrypt(std::span<const std::byte> content) const {
        auto* recipients = sk_X509_new_null();
        sk_X509_push(recipients, certificate_.get());
        const auto from = in(content);
        const Cms cms(CMS_encrypt(recipients, from.get(), EVP_aes_128_cbc(), CMS_BINARY), CMS_ContentInfo_free);
        sk_X509_free(recipients);
        must(cms != nullptr);
        return der(cms.get());
    }

    // What looks like a signature, and is by nobody.
    static Content certificates_only() {
        auto* none = PKCS7_new();
        PKCS7_set_type(none, NID_pkcs7_signed);
        PKCS7_content_new(none, NID_pkcs7_data);
        PKCS7_set_detached(none, 1);
        unsigned char* bytes = nullptr;
        const int size = i2d_PKCS7(none, &bytes);
        PKCS7_free(none);
        return taken(bytes, size);
    }

    static Content der(CMS_ContentInfo* cms) {
        unsigned char* bytes = nullptr;
        const int size = i2d_CMS_ContentInfo(cms, &bytes);
        return taken(bytes, size);
    }

  private:
    using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;
    using Cms = std::unique_ptr<CMS_ContentInfo, decltype(&CMS_ContentInfo_free)>;

    static void must(bool good) {
        if (!good) throw std::runtime_error("the cryptographic library refused to make what a test needs");
    }
    static Content taken(unsigned char* bytes, int size) {
        must(size > 0);
        const auto* from = reinterpret_cast<const std::byte*>(bytes);
        Content out(from, from + size);
        OPENSSL_free(bytes);
        return out;
    }
    static EVP_PKEY* make_key(const KeyOptions& options) {
        EVP_PKEY* key = options.other != nullptr ? EVP_PKEY_Q_keygen(nullptr, nullptr, options.other)
                        : options.rsa_bits != 0
                            ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{options.rsa_bits})
                            : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", options.curve);
        must(key != nullptr);
        return key;
    }
    static Bio in(std::span<const std::byte> content) {
        return {BIO_new_mem_buf(content.data(), static_cast<int>(content.size())), BIO_free_all};
    }
    static std::string text_in(BIO* memory) {
        char* text = nullptr;
        const long size = BIO_get_mem_data(memory, &text);
        return {text, static_cast<std::size_t>(size)};
    }

    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
    std::unique_ptr<X509, decltype(&X509_free)> certificate_;
};

}  // namespace bpfwarden::test
