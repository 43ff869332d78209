/* SPDX-License-Identifier: MIT */
#ifndef TEMPFILED_STORE_SQL_H
#define TEMPFILED_STORE_SQL_H

/* All SQL, one clause a line. Included by store.c alone. */

/* Step n takes a database of version n to version n + 1; never edited once released. */
static const char *const migrations[] = {
        /* 0 -> 1 */
        "CREATE TABLE meta ("
        "  name TEXT PRIMARY KEY,"
        "  value"
        ") WITHOUT ROWID;"
        "INSERT INTO meta VALUES ('key', randomblob(16)), ('seen', 0);" /* boot time, for leases */
        "CREATE TABLE cred ("
        "  id INTEGER PRIMARY KEY,"
        "  uid INTEGER NOT NULL,"
        "  gid INTEGER NOT NULL,"
        "  caps INTEGER NOT NULL,"
        "  groups BLOB NOT NULL"
        ");"
        "CREATE TABLE owner ("
        "  id INTEGER PRIMARY KEY,"
        "  kind INTEGER NOT NULL,"
        "  is_dead INTEGER NOT NULL,"
        "  boot BLOB NOT NULL,"
        "  pid_ns INTEGER NOT NULL,"
        "  init_start INTEGER NOT NULL,"
        "  pid INTEGER NOT NULL,"
        "  start INTEGER NOT NULL,"
        "  uid INTEGER NOT NULL,"
        "  command TEXT NOT NULL,"
        "  executable TEXT NOT NULL,"
        "  arguments TEXT NOT NULL,"
        "  unit TEXT NOT NULL,"
        "  cgroup INTEGER,"  /* unit: inode of its directory */
        "  place TEXT,"      /* and its path */
        "  deadline INTEGER" /* lease: microseconds of CLOCK_BOOTTIME */
        ");"
        "CREATE INDEX owner_by_deadline ON owner (deadline)"
        "  WHERE deadline IS NOT NULL AND is_dead = 0;"
        "CREATE TABLE directory ("
        "  id INTEGER PRIMARY KEY,"
        "  path BLOB NOT NULL,"
        "  identity BLOB NOT NULL,"
        "  is_foreign INTEGER NOT NULL" /* its path means something else in the daemon's view */
        ");"
        "CREATE TABLE tag ("
        "  id INTEGER PRIMARY KEY,"
        "  tag INTEGER NOT NULL,"
        "  key BLOB NOT NULL,"
        "  owner INTEGER NOT NULL,"
        "  directory INTEGER NOT NULL,"
        "  cred INTEGER NOT NULL,"
        "  needs_sweep INTEGER NOT NULL,"
        "  is_dead INTEGER NOT NULL,"
        "  is_unreadable INTEGER NOT NULL,"
        "  boot BLOB NOT NULL"
        ");"
        "CREATE TABLE entry ("
        "  id INTEGER PRIMARY KEY," /* tag id << 32 | number, or a plain number */
        "  kind INTEGER NOT NULL,"
        "  state INTEGER NOT NULL,"
        "  name BLOB,"
        "  created INTEGER NOT NULL,"
        "  owner INTEGER," /* NULL, as the next two: the tag's */
        "  directory INTEGER,"
        "  cred INTEGER,"
        "  target BLOB,"
        "  identity BLOB,"
        "  retain INTEGER," /* seconds to keep it when the owner ends without releasing it */
        "  error INTEGER,"
        "  attempts INTEGER,"
        "  next_try INTEGER," /* microseconds of CLOCK_BOOTTIME; all are due at a start */
        "  failed BLOB"
        ");"
        "CREATE TABLE claim (" /* further owners of an entry, beside the one in its row */
        "  entry INTEGER NOT NULL,"
        "  owner INTEGER NOT NULL,"
        "  is_maker INTEGER NOT NULL," /* only until it says that it has made it */
        "  PRIMARY KEY (entry, owner)"
        ") WITHOUT ROWID;"
        "CREATE INDEX claim_by_owner ON claim (owner);"
        "CREATE INDEX entry_by_owner ON entry (owner) WHERE owner IS NOT NULL;"
        "CREATE INDEX entry_by_state ON entry (state, next_try) WHERE state <> 1;"
        /* Few among many, in the order of their numbers. (IN would cost each insertion a table.) */
        "CREATE INDEX entry_left ON entry (id) WHERE state <> 1 AND state <> 2;"
        "CREATE TABLE ended (" /* deleted; remembered until its file system was written through */
        "  directory INTEGER NOT NULL,"
        "  id INTEGER NOT NULL," /* as the entry had it, with the next five */
        "  kind INTEGER NOT NULL,"
        "  cred INTEGER NOT NULL,"
        "  created INTEGER NOT NULL,"
        "  name BLOB,"
        "  target BLOB,"
        "  identity BLOB NOT NULL,"   /* of what was deleted */
        "  flushes INTEGER NOT NULL," /* how many there had been then, since the daemon's start */
        "  PRIMARY KEY (directory, id)"
        ") WITHOUT ROWID;",
};

#define ENTRY_COLUMNS                                                                                \
        "e.id, e.kind, e.state, e.name, e.created,"                                                  \
        " coalesce(e.owner, t.owner), coalesce(e.directory, t.directory), coalesce(e.cred, t.cred)," \
        " e.target, e.identity, e.error, e.attempts, e.next_try, e.failed, e.retain"
#define ENTRY_FROM " FROM entry e LEFT JOIN tag t ON t.id = e.id >> 32"
#define ENTRY_COLUMN_COUNT 15
#define OF_TAGS_DIRECTORY                                                                          \
        " WHERE directory = (SELECT directory FROM tag WHERE id = ?1)"                             \
        " AND id >= ?1 << 32 AND id < (?1 + 1) << 32"
/* Up to ?2 entries with all that is shown of them, in the order of their numbers. */
#define LIST_FROM(entries)                                                                         \
        "SELECT " ENTRY_COLUMNS ", d.path, o.command, o.unit, o.kind, o.is_dead, o.pid, c.uid"     \
        ", o.deadline"                                                                             \
        " FROM (SELECT * FROM " entries " ORDER BY id LIMIT ?2) e"                                 \
        " LEFT JOIN tag t ON t.id = e.id >> 32"                                                    \
        " LEFT JOIN owner o ON o.id = coalesce(e.owner, t.owner)"                                  \
        " LEFT JOIN directory d ON d.id = coalesce(e.directory, t.directory)"                      \
        " LEFT JOIN cred c ON c.id = coalesce(e.cred, t.cred)"                                     \
        " ORDER BY e.id"

/* Statement, text. Named after what they do or ask. */
#define STATEMENTS(X)                                                                              \
        X(BEGIN, "BEGIN IMMEDIATE")                                                                \
        X(COMMIT, "COMMIT")                                                                        \
        X(ROLLBACK, "ROLLBACK")                                                                    \
        X(ADD_OWNER, "INSERT INTO owner VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")  \
        X(END_OWNER, "UPDATE owner SET is_dead = 1 WHERE id = ?")                                  \
        X(MOVE_OWNER,                                                                              \
          "UPDATE owner SET boot = ?2, pid_ns = ?3, init_start = ?4, pid = ?5, start = ?6"         \
          " WHERE id = ?1")                                                                        \
        X(REMOVE_OWNER, "DELETE FROM owner WHERE id = ?")                                          \
        X(ADD_DIRECTORY, "INSERT INTO directory VALUES (?, ?, ?, ?)")                              \
        X(REMOVE_DIRECTORY, "DELETE FROM directory WHERE id = ?")                                  \
        X(ADD_CRED, "INSERT INTO cred VALUES (?, ?, ?, ?, ?)")                                     \
        X(ADD_TAG, "INSERT INTO tag VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                        \
        X(CHANGE_TAG, "UPDATE tag SET needs_sweep = ?2, is_dead = ?3, boot = ?4 WHERE id = ?1")    \
        X(GIVE_TAG, "UPDATE tag SET owner = ?2 WHERE id = ?1")                                     \
        X(SUSPECT_TAGS, "UPDATE tag SET needs_sweep = 1 WHERE NOT is_dead")                        \
        X(REMOVE_TAG, "DELETE FROM tag WHERE id = ?")                                              \
        X(REMOVE_KEPT_OF_TAG,                                                                      \
          "DELETE FROM entry WHERE id >= ?1 << 32 AND id < (?1 + 1) << 32 AND state = 6")          \
        X(FORGET_LIVE,                                                                             \
          "DELETE FROM entry WHERE id >= ?1 << 32 AND id < (?1 + 1) << 32 AND state = 1"           \
          " AND owner IS NULL AND target IS NULL AND identity IS NULL AND retain IS NULL")         \
        X(ADD_ENTRY,                                                                               \
          "INSERT OR IGNORE INTO entry (id, kind, state, name, created, owner, directory, cred,"   \
          " target, identity, retain) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")                   \
        X(REPLACE_ENTRY,                                                                           \
          "UPDATE entry SET kind = ?2, state = ?3, name = ?4, created = ?5, owner = ?6,"           \
          " directory = ?7, cred = ?8, target = ?9, identity = ?10,"                               \
          " retain = coalesce(?11, retain)" /* made is said again after a restart */               \
          " WHERE id = ?1 AND (?6 IS NOT NULL OR owner IS NULL)")                                  \
        X(REMOVE_ENTRY, "DELETE FROM entry WHERE id = ?")                                          \
        X(CHANGE_ENTRY,                                                                            \
          "UPDATE entry SET state = ?2, error = ?3, attempts = ?4, next_try = ?5, failed = ?6"     \
          " WHERE id = ?1")                                                                        \
        X(DEFER_ENTRY,                                                                             \
          "UPDATE entry SET next_try = 0,"                                                         \
          " state = CASE state WHEN 1 THEN 2 WHEN 3 THEN 2 ELSE state END WHERE id = ?1")          \
        X(ADD_CLAIM, "INSERT OR REPLACE INTO claim VALUES (?, ?, ?)")                              \
        X(REMOVE_CLAIMS_OF_OWNER, "DELETE FROM claim WHERE owner = ?")                             \
        X(REMOVE_CLAIMS_OF_ENTRY, "DELETE FROM claim WHERE entry = ?")                             \
        X(INHERIT_OF_OWNER,                                                                        \
          "UPDATE entry SET owner = (SELECT min(c.owner) FROM claim c WHERE c.entry = entry.id"    \
          " AND c.is_maker = 0)"                                                                   \
          " WHERE owner = ?1 AND id IN (SELECT c.entry FROM claim c WHERE c.entry = entry.id"      \
          " AND c.is_maker = 0)")                                                                  \
        X(INHERIT_ENTRY,                                                                           \
          "UPDATE entry SET owner = (SELECT c.owner FROM claim c WHERE c.entry = entry.id"         \
          " ORDER BY c.is_maker, c.owner LIMIT 1)"                                                 \
          " WHERE id = ?1 AND id IN (SELECT c.entry FROM claim c WHERE c.entry = entry.id)")       \
        X(REMOVE_INHERITED,                                                                        \
          "DELETE FROM claim WHERE owner = (SELECT e.owner FROM entry e WHERE e.id = claim.entry)" \
          " AND (?1 = 0 OR entry = ?1)")                                                           \
        X(COUNT_BY_DIRECTORY,                                                                      \
          "SELECT directory, count(*) FROM (SELECT directory FROM entry WHERE id < 1 << 32"        \
          " UNION ALL SELECT directory FROM ended WHERE id < 1 << 32) GROUP BY directory")         \
        X(COUNT_BY_CRED, "SELECT cred, count(*) FROM entry WHERE id < 1 << 32 GROUP BY cred")      \
        X(COUNT_OF_TAG, "SELECT count(*) FROM entry WHERE id >= ?1 << 32 AND id < (?1 + 1) << 32") \
        X(PASS_TO_MAKER,                                                                           \
          "UPDATE entry SET owner = (SELECT c.owner FROM claim c WHERE c.entry = entry.id"         \
          " AND c.is_maker = 1)"                                                                   \
          " WHERE id = ?1 AND id IN (SELECT c.entry FROM claim c WHERE c.entry = entry.id"         \
          " AND c.is_maker = 1)")                                                                  \
        X(SET_LAST_PLAIN, "INSERT OR REPLACE INTO meta VALUES ('last_plain', ?1)")                 \
        X(GET_LAST_PLAIN, "SELECT value FROM meta WHERE name = 'last_plain'")                      \
        X(LAST_PLAIN_ENTRY,                                                                        \
          "SELECT max(id) FROM (SELECT max(id) AS id FROM entry WHERE id < 1 << 32"                \
          " UNION ALL SELECT max(id) FROM ended WHERE id < 1 << 32)")                              \
        X(LAST_OF_TAG, "SELECT max(id) FROM (SELECT max(id) AS id FROM entry"                      \
                       " WHERE id < (?1 + 1) << 32 AND id >= ?1 << 32"                             \
                       " UNION ALL SELECT max(id) FROM ended" OF_TAGS_DIRECTORY ")")               \
        X(END_ENTRY,                                                                               \
          "INSERT OR REPLACE INTO ended SELECT coalesce(e.directory, t.directory), e.id, e.kind,"  \
          " coalesce(e.cred, t.cred), e.created, e.name, e.target, ?2, ?3" ENTRY_FROM              \
          " WHERE e.id = ?1")                                                                      \
        X(FORGET_ENDED_PLAIN,                                                                      \
          "DELETE FROM ended WHERE directory = ?1 AND id < 1 << 32 AND flushes < ?2")              \
        X(FORGET_ENDED_OF_TAGS,                                                                    \
          "DELETE FROM ended WHERE directory = ?1 AND id >= 1 << 32 AND flushes < ?2")             \
        X(FORGET_ENDED_OF_TAG, "DELETE FROM ended" OF_TAGS_DIRECTORY)                              \
        X(REVIVE_ENDED,                                                                            \
          "INSERT OR IGNORE INTO entry (id, kind, state, name, created, directory, cred, target,"  \
          " identity, next_try) SELECT id, kind, 5, name, created, directory, cred, target,"       \
          " identity, 1 FROM ended")                                                               \
        X(CLEAR_ENDED, "DELETE FROM ended")                                                        \
        X(RECALL_ENDED, "UPDATE ended SET flushes = 0")                                            \
        X(EACH_ENDED, "SELECT directory, min(cred) FROM ended GROUP BY directory")                 \
        X(COUNT_CLAIMS, "SELECT count(*) FROM claim")                                              \
        X(COUNT_ENTRIES, "SELECT count(*) FROM entry")                                             \
        X(COUNT_STATES, "SELECT state, count(*) FROM entry WHERE state <> 1 GROUP BY state")       \
        X(COUNT_PAGES, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")   \
        X(EACH_OWNER, "SELECT * FROM owner ORDER BY id")                                           \
        X(EACH_DIRECTORY, "SELECT * FROM directory ORDER BY id")                                   \
        X(EACH_TAG, "SELECT * FROM tag ORDER BY id")                                               \
        X(EACH_CRED, "SELECT * FROM cred ORDER BY id")                                             \
        X(LIVE_OF_TAG,                                                                             \
          "SELECT " ENTRY_COLUMNS ENTRY_FROM " WHERE e.id >= ?1 << 32 AND e.id < (?1 + 1) << 32"   \
          " AND e.id > ?2 AND e.state IN (1, 2) AND e.owner IS NULL ORDER BY e.id LIMIT ?3")       \
        X(LIVE_OF_OWNER, "SELECT " ENTRY_COLUMNS ENTRY_FROM " WHERE e.owner = ?1 AND e.id > ?2"    \
                         " AND e.state IN (1, 2, 3) ORDER BY e.id LIMIT ?3")                       \
        X(DUE, "SELECT " ENTRY_COLUMNS ENTRY_FROM " WHERE e.state <> 1 AND e.state IN (4, 5)"      \
               " AND e.next_try > 0 AND e.next_try <= ?1 ORDER BY e.next_try LIMIT ?2")            \
        X(NEXT_DUE,                                                                                \
          "SELECT min(next_try) FROM entry WHERE state <> 1 AND state IN (4, 5) AND next_try > 0") \
        X(WAKE_WAITING, "UPDATE entry SET next_try = 1 WHERE state <> 1 AND state = 5")            \
        X(WAKE_ALL, "UPDATE entry SET next_try = 1 WHERE state <> 1 AND state IN (4, 5)")          \
        X(NAMES_OF_TAG,                                                                            \
          "SELECT " ENTRY_COLUMNS ENTRY_FROM " WHERE e.id >= ?1 << 32 AND e.id < (?1 + 1) << 32"   \
          " ORDER BY e.id")                                                                        \
        X(GET_ENTRY, "SELECT " ENTRY_COLUMNS ENTRY_FROM " WHERE e.id = ?1")                        \
        X(OWNER_HAS, "SELECT 1 FROM entry WHERE owner = ?1 AND state <> 6 LIMIT 1")                \
        X(TAG_HAS,                                                                                 \
          "SELECT 1 FROM entry WHERE id >= ?1 << 32 AND id < (?1 + 1) << 32 AND state <> 6"        \
          " LIMIT 1")                                                                              \
        X(LIST, LIST_FROM("entry WHERE id > ?1"))                                                  \
        X(LIST_LEFT,                                                                               \
          LIST_FROM("entry INDEXED BY entry_left WHERE state <> 1 AND state <> 2 AND id > ?1"))    \
        X(SET_DEADLINE, "UPDATE owner SET deadline = ?2, boot = ?3 WHERE id = ?1")                 \
        X(NEXT_DEADLINE,                                                                           \
          "SELECT min(deadline) FROM owner WHERE deadline IS NOT NULL AND is_dead = 0")            \
        X(EXPIRED,                                                                                 \
          "SELECT id FROM owner WHERE deadline IS NOT NULL AND is_dead = 0 AND deadline <= ?1")    \
        X(SET_SEEN, "UPDATE meta SET value = ?1 WHERE name = 'seen'")                              \
        X(GET_SEEN, "SELECT value FROM meta WHERE name = 'seen'")                                  \
        X(SET_BOOT, "INSERT OR REPLACE INTO meta VALUES ('boot', ?1)")                             \
        X(GET_BOOT, "SELECT value FROM meta WHERE name = 'boot'")                                  \
        X(SET_OWNER,                                                                               \
          "UPDATE entry SET owner = ?2, directory = ?3, cred = ?4, state = ?5 WHERE id = ?1")      \
        X(SET_RETAIN, "UPDATE entry SET retain = ?2 WHERE id = ?1")                                \
        X(REMOVE_CLAIM, "DELETE FROM claim WHERE entry = ?1 AND owner = ?2")                       \
        X(CLAIMED_BY,                                                                              \
          "SELECT " ENTRY_COLUMNS ENTRY_FROM                                                       \
          " WHERE e.id IN (SELECT entry FROM claim WHERE owner = ?1) AND e.state = 1 LIMIT 1")     \
        X(CLAIMS_OF_ENTRY, "SELECT owner FROM claim WHERE entry = ?1")                             \
        X(HAS_CLAIM, "SELECT 1 FROM claim WHERE entry = ?1 AND owner = ?2")

/* The tables that are worth saving from a damaged file, parents first. */
static const char *const salvaged_tables[] = { "meta", "cred",  "owner", "directory",
                                               "tag",  "entry", "claim", "ended" };

#endif
