// Run by mongosh beside mongod, once for each `up`: starts the replica set of one, and makes the users. What is there
// already stays; the services' password is set to that of the file, so a changed one counts after this has run.
const { readFileSync } = require("fs");

const secret = (name) => readFileSync(`/run/secrets/${name}`, "utf8").trim();
const member = "mongo:27017";
const admin = db.getSiblingDB("admin");

const refused = (error) => ["Unauthorized", "AuthenticationFailed"].includes(error.codeName);

// Fails as long as there is no user: MongoDB lets the first connections from its own host make one.
let known = true;
try {
    admin.auth("admin", secret("mongo_admin_password"));
} catch (error) {
    if (!refused(error)) throw error;
    known = false;
}

try {
    rs.initiate({ _id: "rs0", members: [{ _id: 0, host: member }] });
} catch (error) {
    if (error.codeName !== "AlreadyInitialized") throw error;
}
for (let tries = 0; !db.hello().isWritablePrimary; tries++) {
    if (tries === 300) throw new Error("no primary within 60 s");
    sleep(200);
}

if (!known) {
    admin.createUser({ user: "admin", pwd: secret("mongo_admin_password"), roles: ["root"] });
    admin.auth("admin", secret("mongo_admin_password"));
}

const roles = [{ role: "readWrite", db: "api_db" }];
if (admin.getUser("foodsvc")) {
    admin.updateUser("foodsvc", { pwd: secret("mongo_password"), roles });
} else {
    admin.createUser({ user: "foodsvc", pwd: secret("mongo_password"), roles });
}
print("mongo-init: the replica set has a primary, the users are there");
