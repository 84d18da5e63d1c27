/* The class SeqpacketSocket; it has nothing to do with the engine. */
#ifndef LAGOPUS_SEQPACKET_H_
#define LAGOPUS_SEQPACKET_H_

#include <node_api.h>

void define_seqpacket(napi_env env, napi_value exports);

#endif
