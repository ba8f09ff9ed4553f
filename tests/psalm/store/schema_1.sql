BEGIN TRANSACTION;
CREATE TABLE categories (
        id INTEGER PRIMARY KEY CHECK (id > 0),
        is_thing INTEGER NOT NULL,
        supercategory TEXT NOT NULL,
        red INTEGER NOT NULL,
        green INTEGER NOT NULL,
        blue INTEGER NOT NULL,
        shortcut TEXT NOT NULL
    );
INSERT INTO "categories" VALUES(1,1,'',85,214,242,'');
CREATE TABLE category_names (
        name TEXT PRIMARY KEY,
        category_id INTEGER NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        UNIQUE (category_id, position)
    ) WITHOUT ROWID;
INSERT INTO "category_names" VALUES('cell',1,0);
INSERT INTO "category_names" VALUES('cells',1,1);
CREATE TABLE history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        image_id INTEGER,
        before TEXT NOT NULL,
        after TEXT NOT NULL
    );
INSERT INTO "history" VALUES(1,'2026-11-23T08:24:08.957Z','tester','category',NULL,'{}','{"colour":[85,214,242],"id":1,"is_thing":true,"name":"cell","shortcut":"","supercategory":"","synonyms":["cells"]}');
INSERT INTO "history" VALUES(2,'2026-11-23T08:24:08.979Z','tester','category',NULL,'{}','{"colour":[242,225,85],"id":2,"is_thing":true,"name":"wrong","shortcut":"","supercategory":"","synonyms":[]}');
INSERT INTO "history" VALUES(3,'2026-11-23T08:24:08.987Z','tester','category',NULL,'{"colour":[242,225,85],"id":2,"is_thing":true,"name":"wrong","shortcut":"","supercategory":"","synonyms":[]}','{}');
INSERT INTO "history" VALUES(4,'2026-11-23T08:24:08.999Z','tester','add',1,'{"objects":[]}','{"objects":[1,2]}');
INSERT INTO "history" VALUES(5,'2026-11-23T08:24:09.001Z','tester','update',1,'{"objects":[{"area":4,"bbox":[2,2,4,4],"category_id":1,"edited_at":"","edited_pixels":0,"id":2,"origin":"model","rle":{"counts":"<230=","size":[5,7]},"score":0.9,"source":2}]}','{"objects":[2]}');
INSERT INTO "history" VALUES(6,'2026-11-23T08:24:09.007Z','tester','state',1,'{"state":"todo"}','{"state":"in_review"}');
CREATE TABLE images (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        path TEXT NOT NULL,
        page INTEGER NOT NULL CHECK (page >= 0),
        height INTEGER NOT NULL CHECK (height >= 0),
        width INTEGER NOT NULL CHECK (width >= 0),
        content_hash TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('todo', 'predicted', 'in_review', 'verified', 'skipped', 'failed')),
        error TEXT NOT NULL DEFAULT '',
        UNIQUE (path, page)
    );
INSERT INTO "images" VALUES(1,'plate/ü.tif',2,5,7,'f00d','in_review','');
CREATE TABLE objects (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
        category_id INTEGER NOT NULL REFERENCES categories (id),
        score REAL,
        area INTEGER NOT NULL CHECK (area > 0),
        row0 INTEGER NOT NULL,
        column0 INTEGER NOT NULL,
        row1 INTEGER NOT NULL,
        column1 INTEGER NOT NULL,
        origin TEXT NOT NULL CHECK (origin IN ('model', 'hand', 'both')),
        source_id INTEGER NOT NULL REFERENCES sources (id),
        edited_pixels INTEGER NOT NULL CHECK (edited_pixels >= 0),
        edited_at TEXT NOT NULL,
        rle BLOB NOT NULL
    );
INSERT INTO "objects" VALUES(1,1,1,NULL,4,0,0,2,2,'hand',1,0,'',X'303233306930');
INSERT INTO "objects" VALUES(2,1,1,0.9,3,2,2,5,3,'both',2,3,'2026-11-23T08:24:09.000Z',X'3C336430');
CREATE TABLE retired_categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL, merged_into INTEGER);
INSERT INTO "retired_categories" VALUES(2,'wrong',NULL);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "settings" VALUES('image_root','{"relative": "..", "absolute": "/somewhere"}');
INSERT INTO "settings" VALUES('uid','"10f16a2afc1045d89ad5e05db2bc485c"');
CREATE TABLE sources (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        model TEXT NOT NULL,
        weights TEXT NOT NULL,
        prompt TEXT NOT NULL,
        thresholds TEXT NOT NULL
    );
INSERT INTO "sources" VALUES(1,X'63AF3D04ABB9AF93EA7C8B1AED9C41B9B9B3C907970A85694733E5D961371133','','','{}','{}');
INSERT INTO "sources" VALUES(2,X'41BD3FB0EDC21976F79D48EEB3842308FCDC3A1505338E02204F84866EEB0E85','psalm-tiny','a1b2','{"kind":"sentence","text":"the round one"}','{"score":0.5}');
CREATE INDEX images_by_state ON images (state, path, page);
CREATE INDEX images_by_content ON images (content_hash);
CREATE INDEX objects_by_image ON objects (image_id);
CREATE INDEX objects_by_category ON objects (category_id);
CREATE INDEX history_by_image ON history (image_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('history',6);
INSERT INTO "sqlite_sequence" VALUES('images',1);
INSERT INTO "sqlite_sequence" VALUES('objects',2);
COMMIT;
