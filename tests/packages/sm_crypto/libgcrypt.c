/* SM2 decryption of libgcrypt as a harness: a subject with a known defect (versions 1.10 to 1.12). */
#include "json.h"
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *decrypt(const json *r, text *out) {
    size_t size, n, d_size;
    unsigned char *ct = json_bytes(r, "ct", &size), *d = json_bytes(r, "private", &d_size);
    gcry_sexp_t key = NULL, data = NULL, plain = NULL, value;
    const char *why = NULL;
    if (size < 98 || ct[0] != 4) return "too short";
    if (gcry_sexp_build(&key, NULL, "(private-key(ecc(curve sm2p256v1)(flags sm2)(d %b)))", (int)d_size, d) ||
        gcry_sexp_build(&data, NULL, "(enc-val(flags sm2)(sm2(a %b)(b %b)(c %b)))", 65, ct, 32, ct + 65, (int)size - 97, ct + 97))
        return "not built";
    gcry_error_t error = gcry_pk_decrypt(&plain, data, key);
    if (error) {
        why = gcry_strerror(error);
    } else {
        /* The plaintext comes as a number: its length is the ciphertext's. */
        value = gcry_sexp_find_token(plain, "value", 0);
        gcry_mpi_t number = gcry_sexp_nth_mpi(value ? value : plain, value ? 1 : 0, GCRYMPI_FMT_USG);
        unsigned char *msg = calloc(1, size);
        gcry_mpi_print(GCRYMPI_FMT_USG, msg, size, &n, number);
        memmove(msg + (size - 97 - n), msg, n);
        memset(msg, 0, size - 97 - n);
        text_add(out, ",\"msg\":\"");
        text_hex(out, msg, size - 97);
        text_add(out, "\"");
        free(msg);
    }
    gcry_sexp_release(key);
    gcry_sexp_release(data);
    gcry_sexp_release(plain);
    free(ct);
    free(d);
    return why;
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    printf("{\"hello\":\"xc-sm-harness/1\",\"name\":\"libgcrypt\",\"version\":\"%s\",\"operations\":"
           "{\"sm2_decrypt\":{\"encoding\":[\"raw\"]}}}\n", gcry_check_version(NULL));
    fflush(stdout);
    while (getline(&line, &room, stdin) > 0) {
        json *request = json_parse(line);
        text out = {0};
        text_add(&out, "{\"id\":%ld", json_number(request, "id", 0));
        size_t start = out.size;
        const char *why = decrypt(request, &out);
        if (why) {
            out.size = start;
            text_add(&out, ",\"error\":\"%s\"", why);
        }
        text_add(&out, "}\n");
        fwrite(out.data, 1, out.size, stdout);
        fflush(stdout);
        free(out.data);
        json_free(request);
    }
    return 0;
}
