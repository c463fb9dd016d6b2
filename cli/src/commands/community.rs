//! `earnest community`: communities and who belongs to them.

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use hub::{
    access::Role,
    communities::{CommunityBody, CommunityView, InvitationView, InvitationsView, MembershipBody},
    page::Page,
    records::RecordId,
};

use super::{Session, record_id};

/// Communities.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Begin a community; you are its steward
    #[command(after_help = "Example:\n  earnest --as ida community create 'Repair café'")]
    Create {
        /// Its name
        name: String,
    },
    /// Show a community and its members, or list those that you may see
    Show {
        /// Its id
        #[arg(value_parser = record_id)]
        id: Option<RecordId>,
    },
    /// As a steward: let an account belong to a community. Whoever has not asked for it joins by its own word
    #[command(after_help = "Example:\n  earnest --as ida community add-member zQmCommunity… zQmAccount…")]
    AddMember {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// The account
        #[arg(value_parser = record_id)]
        account: RecordId,
        /// As what
        #[arg(long, value_enum, default_value_t = As::Member)]
        role: As,
    },
    /// Belong to a community: at once where you are invited, else when a steward or a vote lets you in
    #[command(after_help = "Example:\n  earnest --as ben community join zQmCommunity…")]
    Join {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// As what
        #[arg(long, value_enum, default_value_t = As::Member)]
        role: As,
    },
    /// Show memberships that wait for your word, or for that of a community in which you are a steward
    Invitations,
    /// End an account's membership, or decline one that waits
    RemoveMember {
        /// The community
        #[arg(value_parser = record_id)]
        community: RecordId,
        /// The account
        #[arg(value_parser = record_id)]
        account: RecordId,
    },
}

/// A role on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum As {
    /// Belongs to it
    Member,
    /// Also decides who belongs to it
    Steward,
}

impl From<As> for Role {
    fn from(role: As) -> Self {
        match role {
            As::Member => Self::Member,
            As::Steward => Self::Steward,
        }
    }
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<()> {
    match verb {
        Verb::Create { name } => {
            let member = session.member().await?;
            let receipt = member.say(&member.draft("community@1", &CommunityBody { name })?).await?;
            session.accepted("community", &receipt)
        }
        Verb::Show { id: None } => {
            let page: Page<CommunityView> = session.hub()?.http.get("/v1/communities?limit=100").await?;
            let rows = page
                .items
                .iter()
                .map(|one| vec![one.id.to_string(), one.name.clone(), one.created.to_string()])
                .collect();
            session.output.many(&page, &["community", "name", "since"], rows)
        }
        Verb::Show { id: Some(id) } => {
            let community: CommunityView = session.hub()?.http.get(&format!("/v1/communities/{id}")).await?;
            let members = community.members.clone().unwrap_or_default();
            let rows = members
                .iter()
                .map(|one| vec![one.account.to_string(), one.role.name().to_owned(), one.since.to_string()])
                .collect();
            session.output.many(&community, &["member", "role", "since"], rows)
        }
        Verb::AddMember { community, account, role } => {
            change(session, community, account, Some(role.into())).await
        }
        Verb::Join { community, role } => {
            let account = session.profile()?.account()?;
            change(session, community, account, Some(role.into())).await
        }
        Verb::Invitations => {
            let view: InvitationsView = session.member().await?.get("/v1/invitations").await?;
            let row = |one: &InvitationView| {
                vec![
                    one.community.to_string(),
                    one.account.to_string(),
                    one.role.name().to_owned(),
                    one.said_by.name().to_owned(),
                    one.since.to_string(),
                ]
            };
            let rows = view.own.iter().chain(&view.stewarded).map(row).collect();
            session.output.many(&view, &["community", "account", "as", "said by", "since"], rows)
        }
        Verb::RemoveMember { community, account } => change(session, community, account, None).await,
    }
}

async fn change(session: &Session, community: RecordId, account: RecordId, role: Option<Role>) -> Result<()> {
    let member = session.member().await?;
    let draft = member.draft("membership@1", &MembershipBody { account, role })?.about(community);
    session.accepted("membership", &member.say(&draft).await?)
}
