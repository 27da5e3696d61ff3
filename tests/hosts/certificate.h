// A self-signed certificate, made anew, for tests of TLS.
#pragma once

#include <openssl/ssl.h>

namespace luacoro::hosts {

void use_certificate(SSL_CTX* tls);

}  // namespace luacoro::hosts
