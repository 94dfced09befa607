#!/usr/bin/env bash
# Apache Kafka in KRaft mode, from Maven Central, without a container: for the
# live tests, and for a look at the hub with a real broker.
#
#   kafka.sh install               lay the jars down, once (needs mvn, Java 17)
#   kafka.sh run DIR ID PORT...    run node ID of a cluster in the foreground;
#                                  node 1 listens at the first PORT, and so on,
#                                  each one's controller at the port after it.
#                                  DIR keeps data, configuration and log
#   kafka.sh tool CLASS ARGS...    run one of Kafka's own console tools
#
# KAFKA_VERSION  which Kafka (4.3.1; 3.9.1 works too)
# KAFKA_JARS     where its jars lie ($XDG_CACHE_HOME/exchange-hub/kafka-VERSION)
# KAFKA_EXTRA    a file of properties that override the script's, for run
# KAFKA_FORMAT   more arguments of the storage tool, e.g. --add-scram ..., for run
#
# The settings are for one machine and short tests, not for a province: see
# docs/runbooks before you run Kafka for others.
set -euo pipefail

version=${KAFKA_VERSION:-4.3.1}
jars=${KAFKA_JARS:-${XDG_CACHE_HOME:-$HOME/.cache}/exchange-hub/kafka-$version}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { echo "kafka.sh: $*" >&2; exit 2; }

install() {
  [ -e "$jars/complete" ] && return
  command -v mvn >/dev/null || fail "mvn is needed to fetch Kafka $version (Debian: maven openjdk-17-jre-headless)"
  mkdir -p "$jars"
  mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies \
    -Dkafka.version="$version" -DincludeScope=runtime -DoutputDirectory="$jars" >&2
  rm -f "$jars"/slf4j-reload4j-* # Kafka 3's own way to log, of which there can be one
  touch "$jars/complete"
}

# java CLASS ARGS...: quick to start, modest in memory.
java_() {
  exec java -Xms64m -Xmx"${KAFKA_HEAP:-384m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
    -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS \
    -Dorg.slf4j.simpleLogger.defaultLogLevel="${KAFKA_LOG:-info}" \
    -cp "$jars/*" "$@"
}

# configure DIR ID PORT...: the node's properties, on standard output.
configure() {
  local dir=$1 id=$2; shift 2
  local voters="" n=0 port=""
  for p in "$@"; do
    n=$((n + 1))
    voters+="${voters:+,}$n@127.0.0.1:$((p + 1))"
    [ "$n" -eq "$id" ] && port=$p
  done
  [ -n "$port" ] || fail "there is no port for node $id"
  local copies=$((n < 3 ? n : 3)) insync=$((n < 3 ? 1 : 2))
  local name=${KAFKA_LISTENER:-PLAINTEXT}
  cat <<EOF
process.roles=broker,controller
node.id=$id
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
listeners=$name://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=$name://127.0.0.1:$port
inter.broker.listener.name=$name
listener.security.protocol.map=$name:$name,CONTROLLER:PLAINTEXT
log.dirs=$dir/$id/data
auto.create.topics.enable=false
unclean.leader.election.enable=false
default.replication.factor=$copies
min.insync.replicas=$insync
offsets.topic.replication.factor=$copies
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$insync
transaction.state.log.num.partitions=3
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=$insync
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=8388608
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=3000
controller.quorum.election.timeout.ms=1000
controller.quorum.fetch.timeout.ms=2000
num.network.threads=2
num.io.threads=4
EOF
  [ -z "${KAFKA_EXTRA:-}" ] || cat "$KAFKA_EXTRA"
}

run() {
  [ $# -ge 3 ] || fail "run DIR ID PORT..."
  install
  mkdir -p "$1/$2"
  local dir id; dir=$(cd "$1" && pwd); id=$2; shift 2
  local conf=$dir/$id/server.properties
  configure "$dir" "$id" "$@" > "$conf"
  if [ ! -e "$dir/$id/data/meta.properties" ]; then
    # Every node of a cluster has this one id.
    # shellcheck disable=SC2086  # several arguments
    (java_ kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$conf" ${KAFKA_FORMAT:-}) >&2
  fi
  java_ kafka.Kafka "$conf"
}

case ${1:-} in
  install) install; echo "$jars" ;;
  run) shift; run "$@" ;;
  tool) shift; [ $# -ge 1 ] || fail "tool CLASS ARGS..."; install; java_ "$@" ;;
  *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
